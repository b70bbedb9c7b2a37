"""A deployed app's tables are made once, by the master: its workers share their memory."""

import time
from pathlib import Path

import pytest
from conftest import NO_ENV_FILE
from servers import DEPLOYED, START_SECONDS, _gunicorn

NOTE = """
import os
from pathlib import Path
with (Path(__file__).parent / "{name}.pids").open("a") as notes:
    notes.write(f"{{os.getpid()}}\\n")
"""


@pytest.mark.parametrize("is_deployed", [True, False], ids=["deployed", "development"])
def test_the_master_makes_the_tables_of_a_deployed_app(tmp_path: Path, is_deployed: bool) -> None:
    """In development each worker does, which gunicorn's `reload` may start anew. Rules and the
    rest are imported by each worker in both: they may hold what no two processes can share."""
    room = tmp_path / "shop"
    room.mkdir()
    for name in ("models", "rules"):
        (room / f"{name}.py").write_text(NOTE.format(name=name))
    settings = dict(DEPLOYED) if is_deployed else {"APP_ENV": "development"}
    settings |= {"MELON_APP": "shop", "PYTHONPATH": str(tmp_path), "INSTANCE_PATH": str(tmp_path)}
    settings |= {"WEB_CONCURRENCY": "2", **NO_ENV_FILE}
    with _gunicorn(settings, tmp_path / "gunicorn.log") as server:
        workers = pids(room / "rules.pids", 2)
        assert len(set(workers)) == 2 and server.pid not in workers
        made = pids(room / "models.pids", 1 if is_deployed else 2)
    assert made == [server.pid] if is_deployed else sorted(made) == sorted(workers)


def pids(notes: Path, count: int) -> list[int]:
    """Of those that have imported the module, once there are so many."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        found = notes.read_text().split() if notes.exists() else []
        if len(found) >= count or time.monotonic() > deadline:
            return [int(pid) for pid in found]
        time.sleep(0.05)
