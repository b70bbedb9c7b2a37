"""The stock @nozbe/watermelondb from npm against a real gunicorn: the judge of the contract."""

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import pytest
from copies import copied, run
from own_tables_page import REFERENCES, add
from servers import Server, free_port, running, serving, serving_copy
from sqlalchemy import create_engine, text

from melon_api.storage.database_settings import sqlalchemy_url

HERE = Path(__file__).resolve().parent
# Redis has no part in sync: once with each database is enough.
BACKENDS = ("sqlite", "mariadb+redis", "mysql+redis")
# They are about the phone and its network; the last one takes long.
NO_DATABASE = {"network.test.js", "resolver.test.js", "adopting_many.test.js"}
ALONE = "purge.test.js"  # it forgets the deletions of all accounts
REFERENCES_STORY = "references.test.js"  # wants tables of its own
RESTORED = "restore.test.js"  # it loses the database of all accounts
REFUSING = ["reject.test.js"]  # of a server with that policy
GUIDES = [  # docs/; once is enough
    "conflicts_guide.test.js",
    "troubleshooting.test.js",
    "troubleshooting_database.test.js",
]
CHAOS = "chaos.test.js"
WRITING = "tests.writing_app:app"
EITHER = [CHAOS, "resolver.test.js", "conflicts_guide.test.js"]  # under either policy
REFUSED = "troubleshooting_server.test.js"  # wants limits that are soon reached
SOON_REACHED = {
    "JWT_SECRET_KEY": "a test makes its tokens older with it",
    "MAX_PUSH_RECORDS": "100",
    "RATELIMIT_ENABLED": "true",
    "RATELIMIT_PULL_PER_ACCOUNT": "60/10second",
    "RATELIMIT_LOGIN_PER_ADDRESS": "1000/second",
    "RATELIMIT_REGISTER_PER_ADDRESS": "1000/second",
}
KILLED = ("sqlite", "mariadb", "mysql") if "MELON_SEEDS" in os.environ else ("mariadb",)
PROCESSES = 4  # a test file each; they wait for the server most of the time
NODE_SECONDS = int(os.environ.get("NODE_SECONDS", "300"))  # against a hang; a run takes ten


def run_client(server: Server, *files: str, **environ: str) -> None:
    """Run these node tests; fail with all that node and the server said."""
    output = server.log.with_name("node.txt")
    code = _node(output, server, files, environ)
    text, log = output.read_text(errors="replace"), server.log.read_text(errors="replace")
    said = f"{text}\ngunicorn's log ends:\n{server.log_tail()}"
    counts = {
        kind: int(count) for kind, count in re.findall(r"^ℹ (\w+) (\d+)$", text, re.MULTILINE)
    }
    assert code == 0, said
    assert 0 < counts["pass"] == counts["tests"], said
    assert "Traceback" not in log, said


def _node(output: Path, server: Server, files: Iterable[str], more: dict[str, str]) -> int:
    """Node's exit code; negative when it had to be killed."""
    environ = more | {"MELON_URL": server.url, "MELON_PYTHON": sys.executable, "NO_COLOR": "1"}
    options = ["--test", "--test-reporter=spec", f"--test-concurrency={PROCESSES}"]
    with output.open("wb") as file:
        process = subprocess.Popen(
            ["node", *options, *files],
            cwd=HERE,
            env=os.environ | server.environ | environ,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        try:
            return process.wait(NODE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


@pytest.mark.usefixtures("client_packages")
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_stock_client_syncs(backend: str, tmp_path: Path) -> None:
    files = {path.name for path in HERE.glob("*.test.js")}
    files -= {ALONE, RESTORED, REFUSED, REFERENCES_STORY, *REFUSING, *GUIDES}
    if backend != "sqlite":
        files -= NO_DATABASE
    if backend.partition("+")[0] in KILLED:
        files -= {CHAOS}  # it runs there with workers that are killed in the middle of it
    with serving(backend, tmp_path) as server:
        run_client(server, *sorted(files))


@pytest.mark.usefixtures("client_packages")
def test_the_stock_client_converges_where_conflicts_are_refused(tmp_path: Path) -> None:
    with serving("sqlite", tmp_path, SYNC_CONFLICT_POLICY="reject") as server:
        run_client(server, *EITHER, *REFUSING)


@pytest.mark.usefixtures("client_packages")
def test_the_stock_client_converges_where_rules_alter_what_it_pushes(tmp_path: Path) -> None:
    """Contract push 10: a rule that alters, makes and deletes."""
    with serving("sqlite", tmp_path, application="tests.ruled_app:app") as server:
        run_client(server, CHAOS)
        with create_engine(server.environ["DATABASE_URL"]).connect() as connection:
            made = text("SELECT count(*) FROM tasks WHERE id LIKE 's-%' AND NOT is_deleted")
            assert connection.scalar(made)


@pytest.mark.usefixtures("client_packages")
@pytest.mark.parametrize("backend", ["sqlite", "mariadb+redis"])
def test_the_stock_client_converges_beside_jobs_and_what_the_server_writes(
    backend: str, tmp_path: Path
) -> None:
    """Contract, The server's own changes: rules, a job that writes back, a server at random."""
    pause = {"MELON_PAUSE": str(tmp_path / "pause")}
    with serving(backend, tmp_path, application=WRITING) as server, ExitStack() as beside:
        for command in (("events", "work"), ("scribble",)):
            beside.enter_context(running(server, WRITING, *command, **pause))
        run_client(server, CHAOS, **pause)
        with create_engine(sqlalchemy_url(server.environ["DATABASE_URL"])).connect() as connection:
            made = text("SELECT count(*) FROM projects WHERE id = 'of-the-job'")
            assert connection.scalar(made)
            made = text("SELECT count(*) FROM tasks WHERE title = 'of the server'")
            assert connection.scalar(made)


@pytest.mark.usefixtures("client_packages")
@pytest.mark.parametrize("backend", KILLED)
def test_the_stock_client_survives_killed_workers(backend: str, tmp_path: Path) -> None:
    """SIGKILL in the middle of pushes; `MELON_SEEDS=1,2,3` chooses the stories (make chaos)."""
    with serving(backend, tmp_path) as server:
        run_client(server, CHAOS, MELON_KILL=str(server.pid))


@pytest.mark.usefixtures("client_packages")
def test_the_guides_say_what_happens(tmp_path: Path) -> None:
    """docs/conflicts.md, and what the client prints in docs/troubleshooting.md."""
    with serving("sqlite", tmp_path) as server:
        run_client(server, *GUIDES)


@pytest.mark.usefixtures("client_packages")
def test_what_the_server_refuses_is_explained(tmp_path: Path, chromium: str) -> None:
    """docs/troubleshooting.md, and a web app in a browser of an origin that is not named."""
    port = str(free_port())
    named = f"http://127.0.0.1:{port}"
    with serving("sqlite", tmp_path, workers=1, CORS_ORIGINS=named, **SOON_REACHED) as server:
        run_client(server, REFUSED, WEB_APP_PORT=port, CHROMIUM=chromium)


@pytest.mark.usefixtures("client_packages")
def test_the_stock_client_comes_back_after_a_purge(tmp_path: Path) -> None:
    with serving("sqlite", tmp_path, workers=1) as server:
        run_client(server, ALONE)


@pytest.mark.usefixtures("client_packages")
@pytest.mark.parametrize("backend", ["mysql+redis"])
def test_the_stock_client_survives_a_restore(backend: str, tmp_path: Path) -> None:
    """SQLite's file cannot be changed under a server; tests/api/test_backup.py restores it."""
    with serving(backend, tmp_path) as server:
        run_client(server, RESTORED)


@pytest.mark.usefixtures("client_packages")
def test_two_stock_clients_see_what_outlives_its_parent(tmp_path: Path) -> None:
    """Contract push 4, on both sides of an edit, and of a purge."""
    copy = copied(tmp_path / "copy")
    add(copy, REFERENCES)
    for command in (["upgrade"], ["migrate", "-m", "Labels and memos"], ["upgrade"]):
        run(copy, "flask", "--app", "wsgi", "db", *command)
    with serving_copy(copy) as server:
        run_client(server, REFERENCES_STORY, MELON_COPY=str(copy))
