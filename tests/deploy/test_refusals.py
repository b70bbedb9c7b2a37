"""A server that cannot start says why: a list of sentences, once, and no traceback."""

import os
from pathlib import Path

import forks
import pytest
from conftest import NO_ENV_FILE
from servers import DEPLOYED, free_port

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


def refused(folder: Path, *command: str, **environ: str) -> str:
    """What a command says that has to fail."""
    (folder / "wrong.py").write_text(WRONG_MODEL)
    environ = {"HOST": "127.0.0.1", "PORT": str(free_port()), **environ}
    environ |= {"PATH": os.environ["PATH"], **NO_ENV_FILE, "PYTHONPATH": str(folder)}
    environ |= {"INSTANCE_PATH": str(folder)}
    done = forks.run(*command, cwd=ROOT, environ=environ)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "Traceback" not in said
    return said


@pytest.mark.parametrize(
    "command",
    [(*GUNICORN, "wsgi:app"), ("flask", "--app", "wsgi", "db", "upgrade")],
    ids=["gunicorn", "flask"],
)
def test_all_that_is_missing_is_said_once(tmp_path: Path, command: tuple[str, ...]) -> None:
    said = refused(tmp_path, *command, APP_ENV="production")
    for setting in (MISSING, "  - REDIS_URL: ", "  - JWT_SECRET_KEY: "):
        assert said.count(setting) == 1, said


@pytest.mark.parametrize(
    "command",
    [(*GUNICORN, "wrong:app"), ("flask", "--app", "wrong", "db", "upgrade")],
    ids=["gunicorn", "flask"],
)
def test_a_wrong_model_is_said_once(tmp_path: Path, command: tuple[str, ...]) -> None:
    said = refused(tmp_path, *command)
    assert said.count(SENTENCE) == 1, said


@pytest.mark.parametrize(
    "command",
    [(*GUNICORN, "wsgi:app"), ("flask", "--app", "wsgi", "db", "upgrade")],
    ids=["gunicorn", "flask"],
)
def test_a_fault_in_the_app_is_one_line(tmp_path: Path, command: tuple[str, ...]) -> None:
    room = tmp_path / "shop"
    room.mkdir()
    (room / "rules.py").write_text("x = 1\ndef rule(:\n")
    said = refused(tmp_path, *command, MELON_APP="shop")
    fault = f"{room / 'rules.py'}, line 2: SyntaxError: invalid syntax"
    assert said.count(fault) == 1 and said.count("rules.py") == 1, said


FAULTY_MODELS = {
    "x = 1\ny = 1 / 0\n": "models.py, line 2: ZeroDivisionError: division by zero",
    WRONG_MODEL.replace("from wsgi import app", ""): SENTENCE,
}


@pytest.mark.parametrize("fault", FAULTY_MODELS.values(), ids=["module", "model"])
def test_a_deployed_apps_faulty_tables_are_said_once(tmp_path: Path, fault: str) -> None:
    """The master makes them, for all workers."""
    room, metrics = tmp_path / "shop", tmp_path / "tmp"
    room.mkdir()
    metrics.mkdir()
    (room / "models.py").write_text(next(k for k, v in FAULTY_MODELS.items() if v == fault))
    command = (*GUNICORN, "wsgi:app")
    said = refused(tmp_path, *command, MELON_APP="shop", TMPDIR=str(metrics), **DEPLOYED)
    assert said.count(fault) == 1 and said.count("shop/models.py") <= 1, said
    assert not [*metrics.glob("melon-metrics-*")]


@pytest.mark.parametrize("workers", ["two", "", "0"])
def test_what_gunicorn_fails_at_is_said_before_it_starts(tmp_path: Path, workers: str) -> None:
    """By `flask release` and by what scripts/serve runs first; with the application's own."""
    environ = {"WEB_CONCURRENCY": workers, "WEB_THREADS": "0", "PORT": "abc"}
    said = refused(tmp_path, "flask", "--app", "wsgi", "release", **environ)
    assert said.splitlines() == [
        "cannot start in development:",
        "  - WEB_THREADS: '0' is no whole number from 1 to 1000",
        "  - PORT: 'abc' is no whole number from 0 to 65535",
        f"  - WEB_CONCURRENCY: {workers!r} is no whole number from 1 to 1000000000",
    ]


def test_gunicorns_own_settings_are_checked_together(tmp_path: Path) -> None:
    wrong = {"SILENCE_SECONDS": "long", "PROMETHEUS_MULTIPROC_DIR": "/nowhere"}
    said = refused(tmp_path, *GUNICORN, "wsgi:app", DRAIN_SECONDS="-1", **wrong)
    assert said.splitlines() == [
        "cannot serve:",
        "  - DRAIN_SECONDS: '-1' is no number of seconds",
        "  - SILENCE_SECONDS: 'long' is no whole number from 1 to 1000000000",
        "  - PROMETHEUS_MULTIPROC_DIR: '/nowhere' is no folder",
    ]
