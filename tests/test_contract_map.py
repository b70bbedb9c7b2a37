"""docs/contract-tests.md says which tests show which rule; it is written from their docstrings.

`UPDATE_DOCS=1 scripts/test tests/test_contract_map.py` writes it anew.
"""

import ast
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "contract-tests.md"
RULES = [f"pull {n}" for n in range(1, 8)] + [f"push {n}" for n in range(1, 9)]
SECTIONS = ["Errors", "Accounts", "Service", "base path"]
HEAD = """# Which test shows which rule

Written from the tests' docstrings (`UPDATE_DOCS=1 scripts/test tests/test_contract_map.py`); a rule
without a test fails the suite. Each runs on SQLite, MariaDB and MySQL where a database has a part.
"""


def named(text: str) -> Iterator[str]:
    """The rules that a docstring names: `Contract push 3 and 5`, `Contract, Errors`."""
    for kind, numbers in re.findall(
        r"[Cc]ontract,? (pull|push) ((?:\d(?:, | and | with )?)+)", text
    ):
        yield from (f"{kind} {number}" for number in re.findall(r"\d", numbers))
    for kind, number in re.findall(r"(?:and|with|,) (pull|push) (\d)", text):
        yield f"{kind} {number}"
    yield from (section for section in SECTIONS if f"ontract, {section}" in text)


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
    rules: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for path, name, text in (*python_tests(), *client_tests()):
        for rule in dict.fromkeys(named(text)):
            rules[rule].append((path, name))
    return rules


def page() -> str:
    rules, text = found(), HEAD
    for rule in RULES + SECTIONS:
        text += f"\n## {rule[0].upper()}{rule[1:]}\n\n"
        text += "".join(f"- `tests/{path}`: `{name}`\n" for path, name in rules[rule])
    return text


def test_every_rule_has_a_test() -> None:
    rules = found()
    assert not [rule for rule in RULES + SECTIONS if not rules[rule]]


def test_the_page_is_up_to_date() -> None:
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(page())
    assert PAGE.read_text() == page(), "run: UPDATE_DOCS=1 scripts/test tests/test_contract_map.py"
