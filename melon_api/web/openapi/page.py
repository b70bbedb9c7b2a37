"""`/docs`: the description as a page (Swagger UI). It works without internet, and may not even try.

The page holds tokens while it is open, so its policy lets nothing in but this server's own files.
"""

import secrets

from flask import Flask, Response, g
from flask_swagger_ui import get_swaggerui_blueprint

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


def init_app(app: Flask) -> None:
    """The page's frame is templates/index.template.html, in place of the library's."""
    config = OPTIONS | {"app_name": app.config["API_TITLE"]}
    page = get_swaggerui_blueprint("/docs", "/openapi.json", config)
    page.before_request(choose_nonce)
    page.after_request(protect)
    app.register_blueprint(page)


def choose_nonce() -> None:
    g.docs_nonce = secrets.token_urlsafe(16)


def protect(response: Response) -> Response:
    """OWASP Secure Headers: what the page may load, and who may show it."""
    response.headers["Content-Security-Policy"] = POLICY.format(nonce=g.docs_nonce)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
