"""A server that cannot start says why: a list of sentences, once, and no traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import NO_ENV_FILE
from servers import free_port

from config import ROOT

# A table that WatermelonDB could not take, beside the app's own.
WRONG_MODEL = """
from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column
from melon_api.models.base import db
from melon_api.models.synced import Synced

class Wrong(Synced, db.Model):
    __tablename__ = "wrong"
    constructor: Mapped[str] = mapped_column(String(9))

from wsgi import app
"""
MISSING = "cannot start in production:\n  - DATABASE_URL: "
SENTENCE = "Wrong: the name 'constructor' is reserved or not a name; WatermelonDB could not take it"
GUNICORN = ("gunicorn", "--workers", "3")


def refused(folder: Path, *command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """What a command says that has to fail."""
    (folder / "wrong.py").write_text(WRONG_MODEL)
    environ |= {"PATH": os.environ["PATH"], **NO_ENV_FILE, "PYTHONPATH": str(folder)}
    environ |= {"INSTANCE_PATH": str(folder), "HOST": "127.0.0.1", "PORT": str(free_port())}
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    return done


@pytest.mark.parametrize(
    "command",
    [(*GUNICORN, "wsgi:app"), ("flask", "--app", "wsgi", "db", "upgrade")],
    ids=["gunicorn", "flask"],
)
def test_all_that_is_missing_is_said_once(tmp_path: Path, command: tuple[str, ...]) -> None:
    done = refused(tmp_path, *command, APP_ENV="production")
    for setting in (MISSING, "  - REDIS_URL: ", "  - JWT_SECRET_KEY: "):
        assert done.stdout.count(setting) == 1, done.stdout


@pytest.mark.parametrize(
    "command",
    [(*GUNICORN, "wrong:app"), ("flask", "--app", "wrong", "db", "upgrade")],
    ids=["gunicorn", "flask"],
)
def test_a_wrong_model_is_said_once(tmp_path: Path, command: tuple[str, ...]) -> None:
    done = refused(tmp_path, *command)
    assert done.stdout.count(SENTENCE) == 1, done.stdout


def test_gunicorns_own_settings_are_checked_together(tmp_path: Path) -> None:
    done = refused(tmp_path, *GUNICORN, "wsgi:app", SILENCE_SECONDS="long", DRAIN_SECONDS="-1")
    assert done.stdout.splitlines() == [
        "cannot serve:",
        "  - DRAIN_SECONDS: '-1' is no number of seconds",
        "  - SILENCE_SECONDS: 'long' is no whole number from 1 to 1000000000",
    ]
