"""`make shape`: how large the rooms are, and which way their imports point.

Every import counts, those inside of functions too; imports that only a type checker reads do not.
"""

import ast
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from statistics import median, quantiles

ROOT = Path(__file__).resolve().parents[1]
# The app's own room is its own business.
HOUSE = ("melon_api", "server", "config.py", "environ.py", "wsgi.py")

Imports = Mapping[str, set[str]]  # module -> the modules of the house that it imports


@dataclass(frozen=True)
class Shape:
    """`lines` of each module, `functions` of each function; `chain` is the longest one of imports,
    module by module, `circles` are the modules that import each other."""

    lines: dict[str, int]
    functions: list[int]
    packages: dict[str, int]
    imports: Imports
    chain: list[str]
    circles: list[list[str]]

    @property
    def total(self) -> int:
        return sum(self.lines.values())


def measure(root: Path = ROOT, house: tuple[str, ...] = HOUSE) -> Shape:
    """The shape of what the server runs on, below `root`."""
    files = {_name(path, root): path for path in _files(root, house)}
    trees = {name: ast.parse(path.read_text()) for name, path in files.items()}
    imports = {name: set(_imported(tree, name, files)) for name, tree in trees.items()}
    circles = _circles(imports)
    packages = Counter(str(path.parent.relative_to(root)) for path in files.values())
    return Shape(
        lines={name: len(path.read_text().splitlines()) for name, path in files.items()},
        functions=[size for tree in trees.values() for size in _functions(tree)],
        packages={name: count for name, count in packages.items() if name != "."},
        imports=imports,
        chain=[] if circles else _longest_chain(imports),
        circles=circles,
    )


def _files(root: Path, house: tuple[str, ...]) -> Iterator[Path]:
    for place in house:
        path = root / place
        found = [path] if path.suffix else sorted(path.rglob("*.py"))
        yield from (f for f in found if f.is_file() and not {"tests", "migrations"} & {*f.parts})


def _name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(tree: ast.Module, own: str, files: Mapping[str, Path]) -> Iterator[str]:
    """The most precise name that is a module: `from melon_api.sync import pull` imports `pull`."""
    for node in _without_type_checking(tree):
        names: list[tuple[str, ...]]
        if isinstance(node, ast.Import):
            names = [(alias.name,) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [(f"{node.module}.{alias.name}", node.module) for alias in node.names]
        else:
            continue
        for candidates in names:
            found = next((name for name in candidates if name in files), None)
            if found and found != own:
                yield found


def _without_type_checking(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from _without_type_checking(node)


def _functions(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield (node.end_lineno or node.lineno) - node.lineno + 1


def _circles(imports: Imports) -> list[list[str]]:
    left, found = {name: set(targets) for name, targets in imports.items()}, []
    while True:
        try:
            TopologicalSorter(left).prepare()
        except CycleError as error:
            circle = error.args[1]
            found.append(circle)
            left[circle[1]].discard(circle[0])
        else:
            return found


def _longest_chain(imports: Imports) -> list[str]:
    @cache
    def below(name: str) -> tuple[str, ...]:
        chains = (below(target) for target in sorted(imports[name]))
        return (name, *_longest(chains))

    return list(_longest(map(below, imports)))


def _longest(chains: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return max(chains, key=lambda chain: len(chain), default=())  # noqa: PLW0108 - for mypy


def report(shape: Shape) -> Iterator[str]:
    """The figures, a line each."""
    sizes, functions = list(shape.lines.values()), shape.functions
    yield f"lines           {shape.total} in {len(sizes)} modules"
    yield f"module          median {median(sizes):g}, p90 {_p90(sizes):g}, most {max(sizes)}"
    yield f"function        median {median(functions):g}, p90 {_p90(functions):g}"
    yield f"longest chain   {len(shape.chain)}: {' -> '.join(shape.chain)}"
    yield f"circles         {len(shape.circles)}"
    yield from (f"                {' -> '.join(circle)}" for circle in shape.circles)
    yield "modules of each package:"
    yield from (f"  {name:32}{count}" for name, count in sorted(shape.packages.items()))


def _p90(sizes: list[int]) -> float:
    return quantiles(sizes, n=10)[-1]


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in report(measure()))
