"""`/` in development: where to go on from the address that the server printed.

Every other APP_ENV answers a 404 there, as anywhere else outside the API.
"""

from flask import Blueprint, Flask, Response, current_app

from melon_api.web import demo

blueprint = Blueprint("start_page", __name__)
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Melon</title>
<h1>Melon is running</h1>
<ul>{demo}
<li><a href="/docs">API</a>: every call with its answers, to be tried with a token
(<a href="/openapi.json">openapi.json</a>)
<li><a href="/readyz">State</a>: whether the database and Redis answer
</ul>
<p><a href="/docs/quick-start">How to build an app on it</a>, and all other docs. Apps call
<code>/api/v1</code>. This page is there in development alone.</p></html>
"""
DEMO = '\n<li><a href="/demo/">Demo</a>: two phones side by side'
NOT_BUILT = " (not built yet: run <code>make demo</code> in the server's folder)"


def init_app(app: Flask) -> None:
    if app.config["DEMO_FOLDER"] is not None:
        app.register_blueprint(blueprint)


@blueprint.get("/")
def page() -> Response:
    is_served = demo.blueprint.name in current_app.blueprints
    state = "" if demo.is_built() else NOT_BUILT
    return Response(PAGE.format(demo=DEMO + state if is_served else ""))


blueprint.after_request(demo.protect)
