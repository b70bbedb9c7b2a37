"""The docs for programs that read: llms.txt (https://llmstxt.org), and all of them as one text."""

from melon_api.web.docs.book import Book, Page

API = """\
## API

- [Every call](/openapi.json): OpenAPI 3.1, with the tables of this server, and examples
- [All pages below as one text](/llms-full.txt)
"""


def index(book: Book) -> str:
    """llms.txt: what there is, each page with for whom it is."""
    if not book.pages:
        return f"# Melon API\n\n{API}"
    readme = book.pages["readme"]
    pages = {name: [p for p in found if not p.is_aside] for name, found in book.chapters.items()}
    pages["Optional"] = [p for p in book.pages.values() if p.is_aside]
    lists = [f"## {name}\n\n{''.join(map(_line, of))}" for name, of in pages.items() if of]
    return "\n".join([f"# {readme.title}\n\n> {readme.summary}\n", API, *lists])


def whole(book: Book) -> str:
    """llms-full.txt: but for what llms.txt calls optional."""
    pages = [page for page in book.pages.values() if not page.is_aside]
    return "\n".join(f"<!-- {page.path} -->\n\n{page.text}" for page in pages)


def _line(page: Page) -> str:
    return f"- [{page.title}](/docs/{page.name}.md): {page.sentence}\n"
