"""What is installed is pinned, file by file: the compiled lists hold what the short ones choose."""

import re
from collections import defaultdict
from pathlib import Path

import pytest

from config import ROOT

SHORT = sorted([*ROOT.glob("requirements*.in"), *ROOT.glob("benchmarks/requirements*.in")])
COMPILED = [path.with_suffix(".txt") for path in SHORT]
PIN = re.compile(r"([a-z0-9-]+)==(\S+?)(?: ; (.+?))?(?: \\)?")


def chosen(short: Path) -> dict[str, tuple[str, str]]:
    """Of this list and those that it includes: name to version and the list it stands in."""
    found = {}
    for line in short.read_text().splitlines():
        if line.startswith("-r "):
            found |= chosen(short.parent / line.removeprefix("-r "))
        elif line and not line.startswith("#"):
            name, version = re.sub(r"\[.*\]", "", line).split("==")
            found[name] = (version, short.name)
    return found


def blocks(compiled: Path) -> list[str]:
    """Each pin with its hashes and the comment that says who wants it."""
    lines = compiled.read_text().splitlines(keepends=True)
    text = "".join(line for line in lines if not line.startswith("#"))
    return re.split(r"^(?=\S)", text, flags=re.MULTILINE)[1:]


def pins(compiled: Path) -> dict[str, set[str]]:
    """Name to `version ; marker`: another Python may take another version."""
    found = defaultdict(set)
    for block in blocks(compiled):
        pin = PIN.fullmatch(block.splitlines()[0])
        assert pin, block
        found[pin[1]].add(f"{pin[2]} ; {pin[3]}")
    return found


def test_the_lists_that_we_know_are_there() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in SHORT}
    own = {f"requirements{which}.in" for which in ("", "-dev", "-observability", "-schema")}
    assert names == own | {"benchmarks/requirements.in"}


@pytest.mark.parametrize("short", SHORT, ids=lambda path: path.stem + path.parent.name)
def test_a_compiled_list_holds_what_was_chosen(short: Path) -> None:
    """Each as it was chosen, and nothing that is chosen no more (`make lock`)."""
    compiled = short.with_suffix(".txt")
    for name, (version, _) in chosen(short).items():
        assert pins(compiled)[name] == {f"{version} ; None"}, name
    for block in blocks(compiled):
        wanted = re.findall(r"(?:# +|via )-r \S*?([\w-]+\.in)$", block, re.MULTILINE)
        name = block.split("==", maxsplit=1)[0]
        assert {place for _, place in [chosen(short).get(name, ("", ""))] if place} == set(wanted)
        assert wanted or "via" in block, f"{name} is nobody's"


@pytest.mark.parametrize("compiled", COMPILED, ids=lambda path: path.stem + path.parent.name)
def test_every_file_that_may_be_installed_is_known_by_its_hash(compiled: Path) -> None:
    assert len(blocks(compiled)) >= 2
    for block in blocks(compiled):
        assert re.search(r"^    --hash=sha256:[0-9a-f]{64}\b", block, re.MULTILINE), block
    other = re.sub(
        r"^(    --hash=sha256:[0-9a-f]{64}( \\)?| *#.*)$", "", compiled.read_text(), flags=re.M
    )
    assert all(PIN.fullmatch(line) for line in other.splitlines() if line)


@pytest.mark.parametrize("path", [*SHORT, *COMPILED], ids=lambda path: path.name + path.parent.name)
def test_no_list_says_where_to_install_from(path: Path) -> None:
    """That is each machine's own business."""
    assert not re.search(r"://|--(extra-)?index|--find-links|--trusted", path.read_text())


def test_one_version_of_each_whichever_lists_are_installed() -> None:
    found = defaultdict(set)
    for compiled in COMPILED:
        for name, versions in pins(compiled).items():
            found[name].add(frozenset(versions))
    assert not {name: versions for name, versions in found.items() if len(versions) > 1}


def test_whoever_installs_asks_for_the_hashes() -> None:
    """Without the option, a list that lost its hashes would be installed all the same."""
    for name in ("scripts/environment", "Dockerfile"):
        lines = re.findall(r"^.*pip install .*$", (ROOT / name).read_text(), re.MULTILINE)
        assert lines
        assert all("--require-hashes" in line for line in lines), name
