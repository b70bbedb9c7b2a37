"""docs/contract.md is walked: each rule has a test that names it, each citation leads to a rule,
each error code and call of the server is on the page, and no other.

docs/contract-tests.md says which test shows which rule; it is written from the docstrings:
`UPDATE_DOCS=1 scripts/test tests/test_contract_map.py` writes it anew.
"""

import ast
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from conftest import APP
from flask import Flask

import config as settings
from melon_api import create_app
from melon_api.live.calls import PATH
from melon_api.web.problems import by_code

TESTS = Path(__file__).parent
ROOT = TESTS.parent
CONTRACT = (ROOT / "docs" / "contract.md").read_text()
PAGE = ROOT / "docs" / "contract-tests.md"
HEAD = """# Which test shows which rule

For those who want to know whether a promise is tested, and where.

Written from the tests' docstrings (`UPDATE_DOCS=1 scripts/test tests/test_contract_map.py`); a rule
of [the contract](contract.md) without a test fails the suite. Each runs on SQLite, MariaDB and
MySQL where a database has a part.
"""
RESERVED = "*Reserved.*"


def sections() -> dict[str, str]:
    """The contract's sections, by their names in lower case."""
    parts = re.split(r"^## (.+)$", CONTRACT, flags=re.MULTILINE)
    return {name.lower(): text for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def rules() -> dict[str, str]:
    """`pull 3` and its first line, in the order of the page."""
    return {
        f"{section} {number}": line
        for section, text in sections().items()
        for number, line in re.findall(r"^(\d+)\. (.+)$", text, re.MULTILINE)
    }


KINDS = "|".join({rule.partition(" ")[0] for rule in rules()})
NUMBERS = r"\d+(?:(?:, | and | with | to )\d+)*"
BEGIN = re.compile(r"\bcontract\b,? |\((?=(?:pull|push) \d)", re.IGNORECASE)
RULES = re.compile(rf"(?:, |,? and | with )?({KINDS}) ({NUMBERS})", re.IGNORECASE)


def cited(text: str) -> Iterator[str]:
    """The rules that a text names: `Contract push 3 and 5`, `contract, Errors 2`, `(pull 1)`."""
    text = re.sub(r"\s*\n\s*(?:#|//|\*)?\s*", " ", text)
    for begin in BEGIN.finditer(text):
        end = begin.end()
        while found := RULES.match(text, end):
            end = found.end()
            yield from (f"{found[1].lower()} {number}" for number in spelled_out(found[2]))


def spelled_out(numbers: str) -> Iterator[int]:
    """1, 2, 3, 5 of `1 to 3 and 5`."""
    for part in re.split(r", | and | with ", numbers):
        first, _, last = part.partition(" to ")
        yield from range(int(first), int(last or first) + 1)


def python_tests() -> Iterator[tuple[str, str, str]]:
    for path in sorted(TESTS.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name.lower().startswith(
                "test"
            ):
                yield str(path.relative_to(TESTS)), node.name, ast.get_docstring(node) or ""


def client_tests() -> Iterator[tuple[str, str, str]]:
    for path in sorted((TESTS / "client").glob("*.js")):
        for _, name in re.findall(r"""\btest\(\s*(['"`])(.*?)\1,""", path.read_text(), re.DOTALL):
            yield str(path.relative_to(TESTS)), name, name


def found() -> dict[str, list[tuple[str, str]]]:
    shown: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for path, name, text in (*python_tests(), *client_tests()):
        for rule in dict.fromkeys(cited(text)):
            shown[rule].append((path, name))
    return shown


def page() -> str:
    shown, text = found(), HEAD
    for rule, line in rules().items():
        if line != RESERVED:
            text += f"\n## {rule.capitalize()}\n\n"
            text += "".join(f"- `tests/{path}`: `{name}`\n" for path, name in shown[rule])
    return text


def test_the_rules_are_counted_and_keep_their_numbers() -> None:
    for section in {rule.partition(" ")[0] for rule in rules()}:
        numbers = [int(rule.split()[1]) for rule in rules() if rule.split()[0] == section]
        assert numbers == list(range(1, len(numbers) + 1)), section
    assert len(rules()) > 45


def test_every_rule_has_a_test() -> None:
    shown = found()
    assert not [rule for rule, line in rules().items() if line != RESERVED and not shown[rule]]


def test_every_citation_leads_to_a_rule() -> None:
    """In code, tests and docs."""
    built = {rule for rule, line in rules().items() if line != RESERVED}
    folders = {"melon_api": "py", "tests": "py", "tests/client": "js", "client/src": "ts"}
    texts = [
        path for folder, kind in folders.items() for path in (ROOT / folder).rglob(f"*.{kind}")
    ]
    texts += (ROOT / "docs").rglob("*.md")
    for path in texts:
        if "node_modules" not in path.parts:
            assert not set(cited(path.read_text())) - built, path


def test_the_page_is_up_to_date() -> None:
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(page())
    assert PAGE.read_text() == page(), "run: UPDATE_DOCS=1 scripts/test tests/test_contract_map.py"


def test_the_table_of_errors_is_the_classes() -> None:
    """Each code under its status, and none that is not there."""
    rows = re.findall(r"^\| (\d{3}) \| (.+) \|$", sections()["errors"], re.MULTILINE)
    told = {code: int(status) for status, row in rows for code in re.findall(r"`([a-z_]+)`", row)}
    assert told == {code: kind.status for code, kind in by_code().items()}


def test_the_advice_on_the_page_is_that_of_the_classes() -> None:
    """In docs/api.md, which UPDATE_DOCS=1 writes as well."""
    api = ROOT / "docs" / "api.md"
    head, table = "| status | code | what to do |\n| --- | --- | --- |\n", r"(?:\| \d{3} .*\n)+"
    rows = "".join(
        f"| {kind.status} | [`{code}`](errors.md#{code}) | {kind.advice} |\n"
        for code, kind in by_code().items()
    )
    whole, found = re.subn(re.escape(head) + table, lambda _: head + rows, api.read_text())
    assert found == 1
    if os.environ.get("UPDATE_DOCS"):
        api.write_text(whole)
    assert api.read_text() == whole, "run: UPDATE_DOCS=1 scripts/test tests/test_contract_map.py"


def routes(app: Flask) -> set[str]:
    """`GET /users/me` and so on, without the app's own and those of a library's page."""
    ours = ("melon_api", "flask_swagger_ui")
    return {
        f"{method} {re.sub('^/docs/.*', '/docs', rule.rule.removeprefix('/api/v1'))}"
        for rule in app.url_map.iter_rules()
        if app.view_functions[rule.endpoint].__module__.split(".")[0] in ours
        for method in (rule.methods or set()) - {"OPTIONS", "HEAD"}
    }


def test_the_calls_are_the_routes(tmp_path: Path) -> None:
    """Of development, where there are most; on the contract's page and among those of api.md."""
    app = create_app(settings.load({"APP_ENV": "development", "MELON_APP": APP}, tmp_path))
    named = re.compile(r"`((?:GET|POST|PUT|PATCH|DELETE) /[^\s`?]*)[^`]*`")
    others = {f"GET {PATH.removeprefix('/api/v1')}"}  # the live process's
    assert set(named.findall(CONTRACT)) == routes(app) | others
    api = (ROOT / "docs" / "api.md").read_text()
    assert set(named.findall(api)) == routes(app) | others
