"""How gunicorn serves (Procfile).

The code is imported before the workers are forked, so that they share it, and where it is deployed
the app's tables, too; the application is made in each, as connections to Redis and the threads of
mail, Sentry and OpenTelemetry do not survive a fork. So new code wants a new master, not a SIGHUP.
gunicorn's own `GUNICORN_CMD_ARGS` overrides what is said here.
"""

import ctypes
import gc
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from dotenv import find_dotenv, load_dotenv

sys.path.insert(0, str(Path(__file__).parent))  # as gunicorn itself does later
import server.worker
from environ import THREADS, ConfigError
from server.settings import ServerSettings

# As `flask` does by itself: what the environment does not say, `.env` may.
load_dotenv(find_dotenv(usecwd=True))

if os.environ.get("MELON_ROLE", "").lower() == "live":  # a platform with one port for each app
    os.execv(sys.executable, [sys.executable, "-m", "melon_api.live"])  # noqa: S606


class OwnSettings(ServerSettings):
    NEEDS_SERVERS = os.environ.get("APP_ENV") in ("staging", "production")
    WEB_THREADS: int = THREADS


settings = OwnSettings(os.environ)
try:
    settings.check("cannot serve")
except ConfigError as error:
    sys.exit(str(error))

bind = f"{settings.HOST}:{settings.PORT}"
workers, threads = settings.WEB_CONCURRENCY, settings.WEB_THREADS
timeout = 60  # s, for a worker that does not answer any more
graceful_timeout = 25  # s, the drain among them; a PaaS kills after 30
# What a library might leak goes with its worker; the other ones serve meanwhile. No two at once.
max_requests, max_requests_jitter = 100_000, 20_000
keepalive = 30  # s; longer than the gap between the calls of one sync
worker_connections = 5_000  # or fewer, where the system has no files for them
# The heartbeat is a file; on a disk, a busy one would stop the worker.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: PTH112, S108
limit_request_line = 8190  # bytes, gunicorn's most: a migration may stand in a pull's query
control_socket_disable = True  # it would be in somebody's home, and nobody talks to it

# Where the workers keep their counts, for /metrics to add up (melon_api/ops/metrics.py).
OWN_FOLDER = "melon-metrics-"
if not settings.PROMETHEUS_MULTIPROC_DIR:  # it is set when SIGHUP has this file read again
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix=OWN_FOLDER)


class Worker(server.worker.Worker):
    """With what the environment says of it."""

    silence = float(settings.SILENCE_SECONDS)
    drain_seconds = settings.DRAIN_SECONDS


worker_class = Worker


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # glibc, malloc.h
KEPT_BYTES = 1 << 20  # of memory that nobody uses
# How long a thread may keep the interpreter from others, where Python's own 5 ms would let a large
# push delay a small one, which waits for a database eight times and after each for its turn.
TURN_SECONDS = 0.001


def on_starting(arbiter: Any) -> None:
    """Collections do not touch what is frozen: the workers' pages of it stay the master's. The
    app's tables are made here, too, but in development, where gunicorn's own `reload` may want to
    make them anew."""
    import sqlalchemy.dialects.mysql.pymysql  # noqa: F401, PLC0415

    import melon_api  # noqa: F401, PLC0415 - its counters want PROMETHEUS_MULTIPROC_DIR

    if settings.NEEDS_SERVERS:
        share_tables(arbiter)
    gc.collect()
    gc.freeze()


def share_tables(arbiter: Any) -> None:
    """Exits where a model is wrong: half of its tables would be there for the workers."""
    import config  # noqa: PLC0415 - as above
    from melon_api import room  # noqa: PLC0415
    from melon_api.models.names import ModelError  # noqa: PLC0415

    try:
        room.load_tables(config.load().MELON_APP)
    except ConfigError:
        return  # a worker says it
    except (room.AppError, ModelError) as error:
        on_exit(arbiter)
        sys.exit(str(error))


def post_fork(_arbiter: Any, _worker: Any) -> None:
    """Two heaps of glibc's for a worker, not one for each thread: each would keep for itself what
    its largest push took. What is large goes back to the system: left alone, glibc keeps blocks of
    up to 32 MiB once the first has been freed. Other libraries have no such settings."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_ARENA_MAX, 2)
        libc.mallopt(M_MMAP_THRESHOLD, KEPT_BYTES)
        libc.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def child_exit(_arbiter: Any, worker: Any) -> None:
    """What a dead worker had open at the moment counts no more; what it had counted does."""
    from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415

    mark_process_dead(worker.pid)


def on_exit(_arbiter: Any) -> None:
    """The next start counts anew. A folder that was given to us may hold more than ours."""
    folder = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    for counts in folder.glob("*_[0-9]*.db"):  # prometheus_client's, each named by its process
        counts.unlink(missing_ok=True)
    if folder.name.startswith(OWN_FOLDER):
        shutil.rmtree(folder, ignore_errors=True)


def post_worker_init(worker: Any) -> None:
    """What was imported lives as long as the worker: the garbage collector need not look at it
    again in the middle of a large push."""
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(TURN_SECONDS)
