"""`/openapi.json`, and `/docs`, a page of it (Swagger UI) that works without internet.

The description is made when it is first asked for: most workers never are. The page holds tokens
while it is open, so its policy lets nothing in but this server's own files.
"""

import secrets
import threading

import click
import orjson
from flask import Flask, Response, current_app, g
from flask.cli import AppGroup
from flask_swagger_ui import get_swaggerui_blueprint

from melon_api.web.openapi.document import describe

POLICY = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
# https://github.com/swagger-api/swagger-ui/blob/master/docs/usage/configuration.md
OPTIONS = {
    "layout": "BaseLayout",  # without the bar that loads other descriptions
    "validatorUrl": None,
    "persistAuthorization": False,  # tokens in the browser's storage would outlive the page
    "displayOperationId": True,
    "displayRequestDuration": True,
    "defaultModelsExpandDepth": 0,
    "defaultModelExpandDepth": 3,
    "filter": True,
}
TEXT = "openapi"  # where the application keeps it
_lock = threading.Lock()
commands = AppGroup("openapi", help="What /openapi.json says.")


def init_app(app: Flask) -> None:
    """The page's frame is templates/index.template.html, in place of the library's."""
    page = get_swaggerui_blueprint(
        "/docs", "/openapi.json", OPTIONS | {"app_name": app.config["API_TITLE"]}
    )
    page.before_request(choose_nonce)
    page.after_request(protect)
    app.register_blueprint(page)
    app.add_url_rule("/openapi.json", view_func=openapi)
    app.cli.add_command(commands)


def openapi() -> Response:
    """This description

    This description. `GET /docs` is a page of it.
    """
    return Response(_text(), mimetype="application/json")


@commands.command("print")
def print_openapi() -> None:
    """Write the description to standard output."""
    click.echo(_text().decode())


def _text() -> bytes:
    """Made once; the other threads wait for the one that makes it."""
    known = current_app.extensions
    with _lock:
        if TEXT not in known:
            known[TEXT] = orjson.dumps(describe(current_app))
    found: bytes = known[TEXT]
    return found


def choose_nonce() -> None:
    g.docs_nonce = secrets.token_urlsafe(16)


def protect(response: Response) -> Response:
    """OWASP Secure Headers: what the page may load, and who may show it."""
    response.headers["Content-Security-Policy"] = POLICY.format(nonce=g.docs_nonce)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
