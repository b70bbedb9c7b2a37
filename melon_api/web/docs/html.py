"""Markdown to HTML: headings with anchors, tables that scroll, links that lead to pages.

What is no page (source, mostly) is in the reader's own folder: its path stands there, no link.
"""

import posixpath
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from melon_api.web.docs.book import Page, anchors

ELSEWHERE = re.compile(r"[a-z]+:|#")
Address = Callable[[str], str | None]


@lru_cache(maxsize=128)
def render(page: Page, address: Address) -> str:
    """The page's body, made once. `address` tells where a file of the repository is served."""
    tokens = _markdown.parse(page.text)
    headings = [(one, after) for one, after in pairwise(tokens) if one.type == "heading_open"]
    names = anchors(after.content for _, after in headings)
    for (heading, _), name in zip(headings, names, strict=True):
        heading.attrSet("id", name)
    for token in tokens:
        _lead(token.children or [], page.path, address)
    return str(_markdown.renderer.render(tokens, _markdown.options, {}))


def _lead(children: Sequence[Token], path: str, address: Address) -> None:
    is_file = False
    for token in children:
        if token.type == "image":
            token.attrSet("src", _target(str(token.attrGet("src")), path, address)[0])
        elif token.type == "link_open":
            href, is_file = _target(str(token.attrGet("href")), path, address)
            token.attrs = {"class": "file", "title": href} if is_file else {"href": href}
        if token.type.startswith("link_") and is_file:
            token.tag = "span"


def _target(link: str, path: str, address: Address) -> tuple[str, bool]:
    """Where a link of the page `path` leads, and whether that is a file that is not served."""
    if ELSEWHERE.match(link):
        return link, False
    target, hash_sign, anchor = link.partition("#")
    file = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    served = address(file)
    return (f"{served}{hash_sign}{anchor}", False) if served else (file, True)


def _heading_close(_self: RendererHTML, tokens: Sequence[Token], index: int, *_rest: Any) -> str:
    href, tag = f"#{tokens[index - 2].attrGet('id')}", tokens[index].tag
    return f' <a class="anchor" href="{href}" aria-label="Link to here">#</a></{tag}>\n'


def _table_open(*_tokens: Any) -> str:
    return '<div class="table" tabindex="0"><table>\n'


def _table_close(*_tokens: Any) -> str:
    return "</table></div>\n"


def _made() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False}).enable("table")
    made.add_render_rule("heading_close", _heading_close)
    made.add_render_rule("table_open", _table_open)
    made.add_render_rule("table_close", _table_close)
    return made


_markdown = _made()
