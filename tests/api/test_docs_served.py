"""The project's docs under `/docs`, and for programs: every page, link, anchor and error's help."""

import posixpath
import re
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from devices import Account
from flask import Flask

from melon_api.web.docs import machines
from melon_api.web.docs.book import Book
from melon_api.web.problems import by_code, problem

ROOT = Path(__file__).parents[2]
FILES = [
    "README.md",
    "client/README.md",
    *(str(p.relative_to(ROOT)) for p in sorted((ROOT / "docs").rglob("*.md"))),
]
ERRORS = (ROOT / "docs" / "errors.md").read_text()


def address(file: str) -> str:
    """The client's README is a page of another name."""
    name = file.replace("client/README", "melon-sync").removeprefix("docs/").removesuffix(".md")
    return "/docs/" + name.lower()


class Reader(HTMLParser):
    """What a page has and where it leads: ids, links, pictures with their alternative."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids, self.links, self.pictures = set[str](), list[str](), dict[str, str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.ids |= {found["id"]} if "id" in found else set()
        self.links += [found["href"]] if tag in ("a", "link") else []
        if "src" in found:
            self.pictures[found["src"]] = found.get("alt", "")


@pytest.fixture
def web(plain_app: Flask) -> Any:
    return plain_app.test_client()


@pytest.mark.parametrize("file", FILES)
def test_every_page_is_served_rendered_and_as_it_was_written(web: Any, file: str) -> None:
    """Contract, Service 5."""
    text = (ROOT / file).read_text()
    page, source = web.get(address(file)), web.get(f"{address(file)}.md")
    assert (page.status_code, page.mimetype) == (200, "text/html")
    title = text.partition("\n")[0].lstrip("# ").replace("`", "")
    assert title in re.sub(r"<[^>]+>", "", page.text).replace("&amp;", "&")
    prose = re.sub(r"<pre>.*?</pre>", "", page.text, flags=re.DOTALL)
    assert not re.search(r"^(#+ |```|\| )", prose, re.MULTILINE)
    assert "<ol start" not in page.text  # a number at a line's beginning makes a list
    assert (source.status_code, source.mimetype) == (200, "text/markdown")
    if file == "README.md":  # beside the others
        text = text.replace("](docs/", "](").replace("](client/README.md", "](melon-sync.md")
    assert source.text == text


def test_no_page_lets_in_what_is_not_the_servers(web: Any) -> None:
    """Nor is anything written into it that a policy would have to allow."""
    page = web.get("/docs/errors")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "nonce" not in policy
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert not re.search(r"<style|style=|<script>| on\w+=", page.text)
    with web.get("/docs/pictures/push.svg") as answer:
        picture = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in picture and "sandbox" in picture and "script" not in picture


def test_every_link_of_every_page_leads_on(web: Any) -> None:
    """To a page that is served, and an anchor that is on it; what is no page is no link."""

    @cache
    def there(path: str) -> Reader:
        with web.get(path) as answer:
            assert answer.status_code == 200, path
            return Reader(answer.text if answer.mimetype == "text/html" else "")

    seen = 0
    for file in FILES:
        page = there(address(file))
        for link in page.links:
            assert re.match(r"/docs/|#|https?://|mailto:", link), f"{file}: {link}"
            path, _, anchor = link.partition("#")
            if link.startswith(("/", "#")):
                found = there(path) if path else page
                assert not anchor or anchor in found.ids, f"{file}: {link}"
                seen += 1
        for source in page.pictures:
            assert there(source), f"{file}: {source}"
    assert seen > 1000


@pytest.mark.parametrize("file", FILES)
def test_a_link_to_a_page_stays_one(web: Any, file: str) -> None:
    """In the text, not in the contents beside it; with the heading that it names."""
    main = web.get(address(file)).text.partition("<main>")[2].partition("</main>")[0]
    code = r"^```.*?^```"
    text = re.sub(code, "", (ROOT / file).read_text(), flags=re.DOTALL | re.MULTILINE)
    for target, anchor in re.findall(r"\]\(([^)#:\s]+\.md)(#[^)]*)?\)", text):
        named = posixpath.normpath(posixpath.join(posixpath.dirname(file), target))
        if named in FILES:
            assert address(named) + anchor in Reader(main).links, target


def test_what_is_not_there_is_an_error_as_everywhere(web: Any) -> None:
    for path in ("nothing", "nothing.md", "adr/0-nothing", "pictures/nothing.svg"):
        assert web.get(f"/docs/{path}").json["code"] == "not_found", path
    for path in ("pictures/..%2fsettings.md", "../config.py", "pictures/../../config.py"):
        assert web.get(f"/docs/{path}").status_code == 404, path


def test_the_docs_are_everybodys(plain_app: Flask, web: Any) -> None:
    """Whatever token is sent along: nobody's, another's, one that was revoked."""
    one, other = Account(plain_app).first, Account(plain_app).first
    assert other.call("POST", "/auth/logout").status_code == 204
    for path in ("/docs/sharing", "/docs/sharing.md", "/docs/search.json", "/llms.txt"):
        plain = web.get(path)
        for phone in (one, other):
            token = {"Authorization": f"Bearer {phone.access_token}"}
            answer = web.get(path, headers=token)
            assert (answer.status_code, answer.data) == (200, plain.data), path


def test_what_the_search_finds_is_where_it_says(web: Any) -> None:
    """Every heading of every page, and all words below it."""
    found = web.get("/docs/search.json").json
    assert {one["page"] for one in found} == {
        address(file).removeprefix("/docs/") for file in FILES
    }
    for name in {one["page"] for one in found}:
        anchors = [one["anchor"] for one in found if one["page"] == name]
        assert len(anchors) == len({*anchors})
        main = web.get(f"/docs/{name}").text.partition("<main>")[2].partition("</main>")[0]
        assert Reader(main).ids == {*anchors}, name
    (conflict,) = (
        one for one in found if (one["page"], one["anchor"]) == ("errors", "sync_conflict")
    )
    assert "Another device changed" in conflict["text"]


def pages_in(text: str) -> Iterator[tuple[str, str]]:
    yield from re.findall(r"^- \[[^\]]+\]\((/docs/[^)]+\.md)\): (\S.*\.)$", text, re.MULTILINE)


def test_llms_txt_has_the_form_and_names_every_page(web: Any) -> None:
    """https://llmstxt.org: a heading, a quote, lists of links with a note each."""
    answer = web.get("/llms.txt")
    assert (answer.status_code, answer.mimetype) == (200, "text/plain")
    assert re.match(r"# Melon API\n\n> A sync backend .+\n\n## ", answer.text)
    body = answer.text.partition("\n## ")[2].splitlines()[1:]
    assert all(re.match(r"- \[[^\]]+\]\(/[^)]+\)(: .+)?$|## \S|$", line) for line in body)
    named = [path for path, _ in pages_in(answer.text)]
    assert sorted(named) == sorted(f"{address(file)}.md" for file in FILES)
    for path in (*named, "/openapi.json", "/llms-full.txt"):
        assert f"({path})" in answer.text
        assert web.get(path).status_code == 200


def test_llms_full_txt_is_the_same_pages(web: Any) -> None:
    """But for those under *Optional*."""
    whole = web.get("/llms-full.txt").text
    files = {"/docs/readme.md": "README.md", "/docs/melon-sync.md": "client/README.md"}
    asked, _, optional = web.get("/llms.txt").text.partition("\n## Optional\n")
    for path, _ in pages_in(asked):
        file = files.get(path, path.removeprefix("/"))
        assert f"<!-- {file} -->\n\n{(ROOT / file).read_text()}" in whole
    assert {path.rpartition("/")[0] for path, _ in pages_in(optional)} == {"/docs", "/docs/adr"}
    assert not [path for path, _ in pages_in(optional) if f"<!-- {path[1:]} -->" in whole]


def section(code: str) -> str:
    return ERRORS.partition(f"\n## `{code}`\n")[2].partition("\n## ")[0]


def test_every_error_leads_to_what_it_means(plain_app: Flask, web: Any) -> None:
    """Contract, Errors 1: from the answer itself, to a part of a page that is there."""
    for code, kind in by_code().items():
        with plain_app.test_request_context():
            link = problem(kind).headers["Link"]
        page, anchor = re.fullmatch(r'<(/docs/\w+)#(\w+)>; rel="help"', link).groups()
        assert anchor == code
        assert code in Reader(web.get(page).text).ids
        assert section(code).startswith(f"\nStatus {kind.status}. "), code
        assert "\n**In the app:** " in section(code), code
    order = re.findall(r"^## `(\w+)`$", ERRORS, re.MULTILINE)
    assert {*order} == {*by_code()} and len(order) == len({*order})
    statuses = [by_code()[code].status for code in order]
    assert statuses == sorted(statuses)
    answer = web.get("/api/v1/nowhere")
    assert answer.headers["Link"] == '</docs/errors#not_found>; rel="help"'


def test_without_the_files_there_are_no_pages(tmp_path: Path) -> None:
    """An image may be made without them."""
    book = Book(tmp_path)
    assert book.pages == {} and book.sections == []
    assert machines.whole(book) == ""
    assert "/openapi.json" in machines.index(book)
