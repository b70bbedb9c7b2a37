"""`/docs/<page>`, the same with `.md` as it was written, what the search reads, and llms.txt.

Its policy is the demo's: no page says or shows what does not come from here.
"""

from pathlib import Path

import orjson
from flask import Blueprint, Flask, Response, current_app, render_template, send_from_directory
from werkzeug.routing import BaseConverter

from melon_api.errors import NotFound
from melon_api.web.demo import protect
from melon_api.web.docs import machines
from melon_api.web.docs.book import CLIENT, Book, Page
from melon_api.web.docs.html import render

ROOT = Path(__file__).parents[3]
PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"
blueprint = Blueprint(
    "docs", __name__, url_prefix="/docs", static_folder="assets", static_url_path="/assets"
)
blueprint.after_request(protect)


class PageName(BaseConverter):
    """No name of a file of the API's own page, which is served from the same folder."""

    regex = r"(?:adr/)?[a-z0-9-]+"


def init_app(app: Flask) -> None:
    app.extensions["docs"] = Book(ROOT)
    app.url_map.converters["page"] = PageName
    app.register_blueprint(blueprint)
    app.add_url_rule("/docs/pictures/<name>", view_func=picture)
    app.add_url_rule("/llms.txt", view_func=llms)
    app.add_url_rule("/llms-full.txt", view_func=llms_full)


@blueprint.get("/<page:name>")
def page(name: str) -> str:
    found, book = _page(name), _book()
    body = render(found, book.address)
    return render_template("docs.html", page=found, body=body, chapters=book.chapters)


@blueprint.get("/<page:name>.md")
def source(name: str) -> Response:
    """As it was written; the README's links lead on from here, too."""
    text = _page(name).text.replace("](docs/", "](").replace("](client/README.md", f"]({CLIENT}.md")
    return Response(text, mimetype="text/markdown")


@blueprint.get("/search.json")
def search() -> Response:
    """Each heading with what stands below it; the page looks through it by itself."""
    return Response(orjson.dumps(_book().sections), mimetype="application/json")


def picture(name: str) -> Response:
    """Of the docs; an SVG opened by itself has its colours, and runs nothing."""
    answer = send_from_directory(ROOT / "docs" / "pictures", name)
    answer.headers["Content-Security-Policy"] = PICTURE_POLICY
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer


def llms() -> Response:
    return Response(machines.index(_book()), mimetype="text/plain")


def llms_full() -> Response:
    return Response(machines.whole(_book()), mimetype="text/plain")


def _page(name: str) -> Page:
    found = _book().pages.get(name)
    if found is None:
        raise NotFound("There is no such page.")
    return found


def _book() -> Book:
    book: Book = current_app.extensions["docs"]
    return book
