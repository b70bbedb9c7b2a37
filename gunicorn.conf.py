"""How gunicorn serves (Procfile).

The application is not preloaded: connections to Redis and the threads of mail, Sentry and
OpenTelemetry do not survive a fork, and preloading saved no memory (benchmarks/README.md).
gunicorn's own `GUNICORN_CMD_ARGS` overrides what is said here.
"""

import contextlib
import ctypes
import gc
import os
import re
import shutil
import socket
import struct
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from dotenv import find_dotenv, load_dotenv
from gunicorn.arbiter import Arbiter
from gunicorn.workers.gthread import ThreadWorker

sys.path.insert(0, str(Path(__file__).parent))  # as gunicorn itself does later
from environ import THREADS, ConfigError, Settings, number, setting

# As `flask` does by itself: what the environment does not say, `.env` may.
load_dotenv(find_dotenv(usecwd=True))


def seconds(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]+)?", text):
        raise ValueError(f"{text!r} is no number of seconds")
    return float(text)


class ServerSettings(Settings):
    NEEDS_SERVERS = os.environ.get("APP_ENV") in ("staging", "production")

    # A platform says where with PORT alone, and its router comes from another machine.
    HOST: str = setting(
        str,
        "where to listen",
        default="127.0.0.1",
        deployed="0.0.0.0",  # noqa: S104
    )
    PORT: int = number("the port there", 8000, least=0, most=65_535)
    # One for each core; a thread waits for the database while another one works.
    WEB_CONCURRENCY: int = number("gunicorn's workers", 2)
    WEB_THREADS: int = THREADS
    # Balancers ask every few seconds, and routers hear of a stop when we do.
    DRAIN_SECONDS: float = setting(
        seconds,
        "how long a stopping server takes requests while"
        " [`/readyz` says 503](operations.md#stop-and-no-request-lost)",
        default="0",
        deployed="5",
    )
    # A phone that has left its network says no word of it; gunicorn would wait for ever.
    SILENCE_SECONDS: int = number(
        "how long a request may stop arriving before it is given up: 400,"
        " or no answer in the middle of its head",
        20,
    )
    PROMETHEUS_MULTIPROC_DIR: str | None = setting(
        str, "where the workers keep their counts", shown="a new folder"
    )


settings = ServerSettings(os.environ)
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
# The heartbeat is a file; on a disk, a busy one would stop the worker.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: PTH112, S108
limit_request_line = 8190  # bytes, gunicorn's most: a migration may stand in a pull's query
control_socket_disable = True  # it would be in somebody's home, and nobody talks to it

# Where the workers keep their counts, for /metrics to add up (melon_api/ops/metrics.py).
OWN_FOLDER = "melon-metrics-"
if not settings.PROMETHEUS_MULTIPROC_DIR:  # it is set when SIGHUP has this file read again
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix=OWN_FOLDER)

# All workers refuse to start for the same reasons: who reads this byte says them.
word, pen = os.pipe()
os.write(pen, b"!")
os.set_blocking(word, False)


class Worker(ThreadWorker):
    """gunicorn's own, with further threads in place of those that wait aside, and a drain."""

    is_draining = False

    def load_wsgi(self) -> None:
        try:
            super().load_wsgi()
        except SystemExit as refusal:  # wsgi.py's, with the list of what is wrong
            self.refuse(refusal)
        # Not at the top: the master, which reads this file, does without the application. Nor in
        # get_thread_pool: a SIGTERM while that imports it would be lost, gunicorn listens later.
        from melon_api.bulkheads import Threads  # noqa: PLC0415

        self.tpool = Threads(self.cfg.threads)

    def refuse(self, refusal: SystemExit) -> None:
        """One worker says why, and ends with what stops the master instead of being started anew;
        the others wait for that stop: of two such ends, gunicorn prints a traceback."""
        with contextlib.suppress(BlockingIOError):
            os.read(word, 1)
            self.log.error("%s", refusal)
            sys.exit(Arbiter.WORKER_BOOT_ERROR)
        while self.alive and os.getppid() == self.ppid:
            time.sleep(0.05)
        sys.exit(0)

    def handle_exit(self, sig: Any, frame: Any) -> None:
        """SIGTERM, from the master and perhaps from the platform: say so at `/readyz`, and go on to
        take requests for DRAIN_SECONDS. The master has closed its socket; ours is still open."""
        if not (self.booted and settings.DRAIN_SECONDS):
            super().handle_exit(sig, frame)
            return
        if self.is_draining:
            return
        self.is_draining = True
        from melon_api.ops import health  # noqa: PLC0415 - as above

        health.announce_stop()
        # The master kills what is left when the same time is over: be gone before, by ourselves.
        left = self.cfg.graceful_timeout - settings.DRAIN_SECONDS - 2
        self.cfg.set("graceful_timeout", max(0, int(left)))
        last = threading.Timer(settings.DRAIN_SECONDS, super().handle_exit, (sig, frame))
        last.daemon = True
        last.start()


worker_class = Worker


def pre_request(worker: Worker, request: Any) -> None:
    """Who kept a connection open is told to close it, and comes again through the balancer."""
    if getattr(
        worker, "is_draining", False
    ):  # a floor of the benchmarks is served by gunicorn's own
        request.force_close()


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # glibc, malloc.h
KEPT_BYTES = 1 << 20  # of memory that nobody uses
# How long a thread may keep the interpreter from others, where Python's own 5 ms would let a large
# push delay a small one, which waits for a database eight times and after each for its turn.
TURN_SECONDS = 0.001


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


def when_ready(arbiter: Any) -> None:
    """On the listeners: the connections that they take in have it from them (Linux, BSD)."""
    for listener in arbiter.LISTENERS:
        limit = struct.pack("ll", settings.SILENCE_SECONDS, 0)  # struct timeval
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)


def post_worker_init(worker: Any) -> None:
    """What was imported lives as long as the worker: the garbage collector need not look at it
    again in the middle of a large push."""
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(TURN_SECONDS)
