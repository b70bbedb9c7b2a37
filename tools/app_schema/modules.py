"""TypeScript modules: lines, and what they import. As files, or all in one text."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

Imports = dict[str, set[str]]  # {module: names}; `type Query` is a type alone


@dataclass(frozen=True)
class Module:
    """`path` is without its ending; `imports` are of packages, `siblings` of modules printed here
    (`./Project`, seen from this one)."""

    path: str
    lines: list[str]
    imports: Imports = field(default_factory=dict)
    siblings: Imports = field(default_factory=dict)
    exports: list[str] = field(default_factory=list)  # lines that only files of their own need

    def text(self) -> str:
        """As a file of its own."""
        return _text([self.imports, self.siblings], [[*self.exports, *self.lines]])


def one_text(modules: list[Module]) -> str:
    """All of them as one module."""
    return _text([module.imports for module in modules], [m.lines for m in modules])


def _text(imports: Iterable[Imports], blocks: list[list[str]]) -> str:
    merged: Imports = defaultdict(set)
    for of_module in imports:
        for source, names in of_module.items():
            merged[source] |= names
    head = [_import(source, merged[source]) for source in sorted(merged, key=_packages_first)]
    return "\n\n".join("\n".join(block) for block in [head, *blocks] if block) + "\n"


def _packages_first(source: str) -> tuple[bool, str]:
    return source.startswith("."), source


def _import(source: str, names: set[str]) -> str:
    """Types alone are imported as such: Babel drops them, so modules do not import in circles.
    What one module takes as a type and another as a value is imported once, as the value."""
    names = {name for name in names if name.removeprefix("type ") not in names - {name}}
    if all(name.startswith("type ") for name in names):
        listed = ", ".join(sorted(name.removeprefix("type ") for name in names))
        return f"import type {{ {listed} }} from '{source}'"
    ordered = sorted(names, key=lambda name: name.removeprefix("type "))
    return f"import {{ {', '.join(ordered)} }} from '{source}'"
