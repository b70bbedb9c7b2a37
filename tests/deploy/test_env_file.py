"""`.env` says what the environment does not, to every command; to the tests it says nothing."""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import NO_ENV_FILE, missing
from copies import copied, run, with_scripts
from dotenv import dotenv_values
from paas import settings
from servers import START_SECONDS, free_port, serving_copy

from config import ROOT

READ_IT = dict.fromkeys(NO_ENV_FILE, "")
# What makes or reads the database that DATABASE_URL names.
COMMANDS = {
    "make migrate": "make migrate m=Nothing",
    "make seed": "make seed",
    "backup": "flask --app wsgi db upgrade && python deploy/backup.py dump dump.gz && ls dump.gz",
}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A checkout with its Makefile and scripts, in whose `.venv` is what runs here."""
    return with_scripts(copied(tmp_path / "clone"))


def write(clone: Path, **values: str) -> None:
    (clone / ".env").write_text("".join(f"{name}={value}\n" for name, value in values.items()))


def url(file: Path) -> str:
    return f"sqlite:///{file}"


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_the_environment_wins_over_the_file(clone: Path, command: str) -> None:
    if command.startswith("make") and not shutil.which("make"):
        missing("make")
    ours, files = clone / "environment.db", clone / "file.db"
    write(clone, DATABASE_URL=f'"{url(files)}"', APP_ENV="nonsense")
    known = {"APP_ENV": "development", **READ_IT}
    run(clone, "bash", "-c", command, DATABASE_URL=url(ours), **known)
    assert (ours.exists(), files.exists()) == (True, False)
    run(clone, "bash", "-c", command, **known)
    assert files.exists()


def test_serve_is_where_the_file_says(clone: Path) -> None:
    """And says so; but LOG_LEVEL is the environment's."""
    port, database, log = free_port(), clone / "file.db", clone / "log"
    write(clone, PORT=f"{port}  # ours", DATABASE_URL=url(database), LOG_LEVEL="nonsense")
    shell = {"PATH": os.environ["PATH"], "LOG_LEVEL": "INFO", **READ_IT}
    with log.open("wb") as out:
        server = subprocess.Popen(
            ["./scripts/serve"],
            cwd=clone,
            env=shell,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + START_SECONDS
            while "Booting worker" not in log.read_text():
                assert server.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait()
    assert f"http://127.0.0.1:{port}," in log.read_text()
    assert f"Listening at: http://127.0.0.1:{port} " in log.read_text()
    assert database.exists()


@pytest.mark.parametrize(("own", "bind"), [({}, "0.0.0.0:8123"), ({"PORT": "9"}, "0.0.0.0:9")])
def test_gunicorn_reads_it_before_its_own_settings(
    clone: Path, own: dict[str, str], bind: str
) -> None:
    write(clone, PORT="8123", APP_ENV="production", WEB_CONCURRENCY="'7'", JWT_SECRET_KEY="x" * 32)
    own |= {"DATABASE_URL": "mysql://127.0.0.1/none", "REDIS_URL": "redis://127.0.0.1", **READ_IT}
    own["PROMETHEUS_MULTIPROC_DIR"] = str(clone)
    told = run(clone, "gunicorn", "wsgi:app", "--print-config", **own)
    assert re.search(rf"^bind\s+= \['{re.escape(bind)}'\]$", told, re.MULTILINE), told
    assert re.search(r"^workers\s+= 7$", told, re.MULTILINE), told


def test_the_demo_is_refused_by_the_file_as_well(clone: Path) -> None:
    write(clone, APP_ENV='"production"')
    command = ["./scripts/demo"]
    done = subprocess.run(
        command, cwd=clone, capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.returncode == 1
    assert "development alone, and APP_ENV is production." in done.stderr


def test_the_example_means_to_us_what_it_means_to_a_shell(tmp_path: Path) -> None:
    """Some platforms and people source it: `;` and blanks are in quotes."""
    file = tmp_path / ".env"
    file.write_text(re.sub(r"^#(?=[A-Z_]+=)", "", (ROOT / ".env.example").read_text(), flags=re.M))
    names = list(dotenv_values(file))
    assert len(names) > 30
    script = 'set -a; . "$0"; for name in "$@"; do printf "%s=%s\\0" "$name" "${!name}"; done'
    command = ["env", "-i", "bash", "-c", script, str(file), *names]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert told == "".join(f"{name}={value}\0" for name, value in dotenv_values(file).items())


def test_a_developers_file_is_not_the_tests(clone: Path) -> None:
    write(clone, APP_ENV="nonsense", DATABASE_URL="nonsense", PORT="nonsense")
    run(clone, "flask", "--app", "wsgi", "db", "upgrade")
    with serving_copy(clone):
        pass
    assert NO_ENV_FILE.items() <= settings("sqlite://").items()
    assert NO_ENV_FILE.items() <= os.environ.items()
