"""The peer, built from `peer/` into a folder of its own outside of the checkout."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PEER = ROOT / "benchmarks" / "peer"
SOURCES = ("package.json", "package-lock.json", "tsconfig.json", "src")


def built_peer() -> Path:
    """The folder of the peer, ready to start; the first time this takes a minute."""
    build = _build_folder()
    if not (build / "built").exists():
        _build(build)
    return build


def peer_versions(build: Path) -> dict[str, str]:
    """The versions that were installed of what does the peer's work."""
    found = {}
    for name in ("@nestjs/core", "typeorm", "mysql2"):
        package = build / "node_modules" / name / "package.json"
        found[name] = str(json.loads(package.read_text())["version"])
    return found


def _build_folder() -> Path:
    """One folder for each state of the sources."""
    if named := os.environ.get("MELON_PEER_BUILD"):
        return Path(named).resolve()
    digest = hashlib.sha256()
    for path in sorted([PEER / name for name in SOURCES] + [*PEER.glob("src/**/*")]):
        if path.is_file():
            digest.update(path.read_bytes())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "melon-benchmarks" / f"peer-{digest.hexdigest()[:12]}"


def _build(build: Path) -> None:
    if not shutil.which("npm"):
        raise SystemExit("The peer needs Node.js 20 with npm.")
    print("building the peer, once", file=sys.stderr, flush=True)
    for name in SOURCES:
        _copy(PEER / name, build / name)
    for command in (["npm", "ci", "--no-audit", "--no-fund"], ["npm", "run", "build"]):
        done = subprocess.run(command, cwd=build, capture_output=True, text=True, check=False)
        if done.returncode:
            output = (done.stdout + done.stderr)[-4000:]
            raise SystemExit(f"The peer could not be built: {' '.join(command)}\n{output}")
    (build / "built").touch()


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        for path in source.iterdir():
            _copy(path, target / path.name)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
