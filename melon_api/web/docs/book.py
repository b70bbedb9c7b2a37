"""The pages: README.md, whose *Read on* is their table of contents, docs/, ADRs included, and the
client's README.

Read when they are first asked for: most workers never are. Where an image has been made without
them there are none, and the page of the API stands alone.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from melon_api.web.problems import by_code

CONTENTS = re.compile(r"^- ([^:\[]+): (.*(?:\n  .*)*)", re.MULTILINE)
LINK = re.compile(r"\]\((docs/[\w-]+(?:\.md)?|client/README\.md)\)")
DECISIONS = "adr"
CLIENT = "melon-sync"
FENCE = "```"


@dataclass(frozen=True)
class Page:
    """`name` is that of its address, `path` that of its file."""

    name: str
    path: str
    text: str

    @property
    def title(self) -> str:
        return self.text.partition("\n")[0].lstrip("# ").replace("`", "")

    @property
    def summary(self) -> str:
        """Its first paragraph: for whom it is, and what is in it."""
        return " ".join(self.text.split("\n\n")[1].split())

    @property
    def sentence(self) -> str:
        """The first of these, without links."""
        return _plain(self.summary.partition(". ")[0]).rstrip(".") + "."

    @property
    def is_aside(self) -> bool:
        """Of use to those who change the server, not to those who use it."""
        return self.name == "contract-tests" or self.name.startswith(DECISIONS)


@dataclass(frozen=True)
class Section:
    """What is found: a heading with what stands below it."""

    page: str
    title: str
    heading: str
    anchor: str
    text: str


class Book:
    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def chapters(self) -> dict[str, list[Page]]:
        """In the README's order."""
        readme = self._read("readme", "README.md")
        if readme is None:
            return {}
        found = {name: [*self._named(links)] for name, links in CONTENTS.findall(readme.text)}
        return {"Melon": [readme]} | {name: pages for name, pages in found.items() if pages}

    @cached_property
    def pages(self) -> dict[str, Page]:
        return {page.name: page for pages in self.chapters.values() for page in pages}

    def address(self, path: str) -> str | None:
        """Where a file of the repository is served: a page, or a picture; else None."""
        return f"/{path}" if path.startswith("docs/pictures/") else self._addresses.get(path)

    @cached_property
    def sections(self) -> list[Section]:
        return [
            Section(page.name, page.title, heading.replace("`", ""), anchor, _plain(text))
            for page in self.pages.values()
            for (heading, text), anchor in zip(*_parts(page.text), strict=True)
        ]

    @cached_property
    def _addresses(self) -> dict[str, str]:
        found = {page.path: f"/docs/{page.name}" for page in self.pages.values()}
        decisions = (address for path, address in found.items() if path.startswith("docs/adr/"))
        return found | {"docs/adr": next(decisions, "/docs/readme")}

    def _named(self, links: str) -> Iterator[Page]:
        for path in LINK.findall(links):
            for name, file in self._files(path):
                if page := self._read(name, file):
                    yield page

    def _files(self, path: str) -> list[tuple[str, str]]:
        """Names of pages with their files, of a link."""
        if not path.startswith("docs/"):
            return [(CLIENT, path)]
        names = [path.removeprefix("docs/").removesuffix(".md")]
        if names == [DECISIONS]:
            paths = (self.root / path).glob("*.md")
            numbers = sorted((int(path.stem.partition("-")[0]), path.stem) for path in paths)
            names = [f"{DECISIONS}/{stem}" for _, stem in numbers]
        return [(name, f"docs/{name}.md") for name in names]

    def _read(self, name: str, path: str) -> Page | None:
        file = self.root / path
        if not file.is_file():
            return None
        text = file.read_text()
        return Page(name, path, text + _errors_of_the_app(text) if name == "errors" else text)


def anchors(headings: Iterable[str]) -> Iterator[str]:
    """Of one page's headings, as GitHub makes them."""
    seen = Counter[str]()
    for heading in headings:
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        yield f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor
        seen[anchor] += 1


def _errors_of_the_app(text: str) -> str:
    """What the docs cannot know: from its classes."""
    return "".join(
        f"\n## `{code}`\n\nStatus {kind.status}, of this app: {kind.advice}.\n"
        for code, kind in by_code().items()
        if f"\n## `{code}`\n" not in text
    )


def _parts(text: str) -> tuple[list[tuple[str, str]], list[str]]:
    """Each heading with what follows it, and their anchors; a `#` in a block of code is none."""
    parts, is_code = list[tuple[str, str]](), False
    for line in text.splitlines():
        is_code ^= line.lstrip().startswith(FENCE)
        if not is_code and (found := re.match(r"#+ (.*)", line)):
            parts.append((found[1], ""))
        elif parts:
            parts[-1] = (parts[-1][0], f"{parts[-1][1]}{line}\n")
    return parts, [*anchors(heading for heading, _ in parts)]


def _plain(text: str) -> str:
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return " ".join(re.sub(r"[`|*]|^```.*$|-{3,}", " ", text, flags=re.MULTILINE).split())
