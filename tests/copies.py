"""A checkout of the project that a test changes, as an app developer does."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import forks
from conftest import NO_ENV_FILE

from config import ROOT

COPIED = (
    "melon_api",
    "migrations",
    "server",
    "tests",
    "tools",
    "config.py",
    "environ.py",
    "gunicorn.conf.py",
    "wsgi.py",
    "pyproject.toml",
)
SKIPPED = shutil.ignore_patterns("node_modules", "__pycache__")


def copied(folder: Path) -> Path:
    """`folder`, which is made, with the project in it; nothing is installed there. Its app is the
    tests' example, whatever this one's may be."""
    folder.mkdir()
    for name in COPIED:
        source, target = ROOT / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=SKIPPED)
        else:
            shutil.copy(source, target)
    shutil.copytree(ROOT / "tests" / "example", folder / "app", ignore=SKIPPED)
    return folder


def with_scripts(copy: Path) -> Path:
    """Its Makefile and scripts as well, and a `.venv` that has what runs here."""
    for name in ("scripts", "deploy"):
        shutil.copytree(ROOT / name, copy / name)
    for path in [ROOT / "Makefile", *ROOT.glob("requirements*.txt")]:
        shutil.copy(path, copy)
    (copy / ".venv").mkdir()
    for path in Path(sys.prefix).iterdir():
        if not path.name.endswith(".installed"):
            (copy / ".venv" / path.name).symlink_to(path)
    for name in ("requirements.txt", "requirements-dev.txt"):
        lists = f"cat requirements*.txt {name} | cksum > .venv/{name}.installed"
        subprocess.run(["bash", "-c", lists], cwd=copy, check=True)
    return copy


def run(copy: Path, *command: str, **environ: str) -> str:
    """What a command says there, with this environment's Python; it has to succeed."""
    kept = {k: v for k, v in os.environ.items() if k in ("HOME", "CI") or k.startswith("TEST_")}
    kept |= NO_ENV_FILE
    kept["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    kept["INSTANCE_PATH"] = str(copy / "instance")
    environ = kept | environ
    module = command[2:] if command[:2] == (sys.executable, "-m") else command
    if module != command or command[0] in ("flask", "gunicorn"):
        done = forks.run(*module, cwd=copy, environ=environ)
    else:
        done = subprocess.run(
            command, cwd=copy, env=environ, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
