"""Where the driver and the peer are: beside the checkout, or where the environment says.

Neither is part of this project. `MELON_BENCH` is the folder of `bench.py`, `MELON_PEER` that of the
peer's sources; the peer is built into a folder of its own, outside of both checkouts.
"""

import hashlib
import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
SOURCES = ("package.json", "tsconfig.json", "src")


def driver() -> Any:
    """The driver's module `bench`. Stops with a sentence when it is not there."""
    folder = _folder("MELON_BENCH", "bench", "bench.py")
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    return importlib.import_module("bench")


def built_peer() -> Path:
    """The folder of the peer, ready to start; the first time this takes a minute."""
    sources = _folder("MELON_PEER", "peer-nestjs", "package.json")
    build = _build_folder(sources)
    if not (build / "built").exists():
        _build(sources, build)
    return build


def peer_versions(build: Path) -> dict[str, str]:
    """The versions that were installed of what does the peer's work."""
    found = {}
    for name in ("@nestjs/core", "typeorm", "mysql2"):
        package = build / "node_modules" / name / "package.json"
        found[name] = str(json.loads(package.read_text())["version"])
    return found


def _folder(variable: str, name: str, holds: str) -> Path:
    folder = Path(os.environ.get(variable) or SHARED / name)
    if not (folder / holds).is_file():
        where = variable if os.environ.get(variable) else f"../shared/{name}"
        raise SystemExit(
            f"There is no {holds} in {where}. Set {variable} to the folder that holds it: "
            "the benchmarks need it and it is not part of this project (benchmarks/README.md)."
        )
    return folder.resolve()


def _build_folder(sources: Path) -> Path:
    """One folder for each state of the sources."""
    if named := os.environ.get("MELON_PEER_BUILD"):
        return Path(named).resolve()
    digest = hashlib.sha256()
    for path in sorted(p for name in SOURCES for p in [sources / name, *sources.glob("src/**/*")]):
        if path.is_file():
            digest.update(path.read_bytes())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "melon-benchmarks" / f"peer-{digest.hexdigest()[:12]}"


def _build(sources: Path, build: Path) -> None:
    if not shutil.which("npm"):
        raise SystemExit("The peer needs Node.js 20 with npm.")
    print("building the peer, once", file=sys.stderr, flush=True)
    for name in SOURCES:
        _copy(sources / name, build / name)
    for command in (["npm", "install", "--no-audit", "--no-fund"], ["npm", "run", "build"]):
        done = subprocess.run(command, cwd=build, capture_output=True, text=True, check=False)
        if done.returncode:
            output = (done.stdout + done.stderr)[-4000:]
            raise SystemExit(f"The peer could not be built: {' '.join(command)}\n{output}")
    (build / "built").touch()


def _copy(source: Path, target: Path) -> None:
    """Bytes only: the sources may be read-only, the copy must not be."""
    if source.is_dir():
        for path in source.iterdir():
            _copy(path, target / path.name)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
