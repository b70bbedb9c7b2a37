"""`/demo` in development: two phones side by side in a browser, and ways to sign in, as Vite built
them from `demo/`.

Where DEMO_FOLDER is None (every other APP_ENV) there is no such route, nor without the example's
tables, which it shows. A browser stores nothing of
it (`no-store`, as of all answers), so that it is never older than the server; no ETag, therefore.
"""

from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, Response, current_app, send_from_directory

from melon_api.models.base import db

blueprint = Blueprint("demo", __name__, url_prefix="/demo")
# What runs there comes from here, and titles that look like a program are none.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
    " connect-src 'self' {}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
NOT_BUILT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Melon</title>
<h1>The demo is not built yet</h1><p>In the server's folder run <code>make demo</code>.</p></html>
"""


def init_app(app: Flask) -> None:
    if app.config["DEMO_FOLDER"] is not None and {"projects", "tasks"} <= db.metadata.tables.keys():
        app.register_blueprint(blueprint)


@blueprint.get("/")
def page() -> Response:
    """The page; without a build one that says how to make it."""
    return part("index.html") if is_built() else Response(NOT_BUILT)


@blueprint.get("/google.json")
def google() -> dict[str, str]:
    """`issuer` and `client_id` of the provider that is here in Google's place; nothing where there
    is none."""
    local = _local_google()
    return {"issuer": local.issuer, "client_id": min(local.client_ids)} if local else {}


@blueprint.get("/live.json")
def live() -> dict[str, int]:
    """`port`: where the live process is beside this one, if it was started."""
    return {"port": current_app.config["LIVE_PORT"]}


@blueprint.get("/<path:name>")
def part(name: str) -> Response:
    """A file of the build. Raises NotFound for what is not in its folder."""
    return send_from_directory(_folder(), name, etag=False, conditional=False)


@blueprint.after_request
def protect(response: Response) -> Response:
    local, port = _local_google(), current_app.config["LIVE_PORT"]
    others = [f"http://{host}:{port}" for host in ("127.0.0.1", "localhost")]
    others += [local.issuer] if local else []
    response.headers["Content-Security-Policy"] = POLICY.format(" ".join(others))
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def is_built() -> bool:
    return (_folder() / "index.html").is_file()


def _local_google() -> Any:
    """By http there are none but on this machine (passwordless/oidc/settings.py). The real one
    gives a page no token for a code without the client's secret."""
    provider = current_app.config["OIDC_PROVIDERS"].get("google")
    return provider if provider and provider.issuer.startswith("http://") else None


def _folder() -> Path:
    folder: Path = current_app.config["DEMO_FOLDER"]
    return folder
