"""How gunicorn serves (Procfile); every value may be set by the environment."""

import gc
import os
from typing import Any

bind = f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"
# A worker for each core; a thread waits for the database while another one works.
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
worker_class = "gthread"
threads = int(os.environ.get("WEB_THREADS", "4"))
timeout = 60  # s, for a worker that does not answer any more
graceful_timeout = 25  # s; a PaaS kills after 30
keepalive = 30  # s; longer than the gap between the calls of one sync
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: PTH112, S108
limit_request_line = 8190  # bytes, gunicorn's most: a migration may stand in a pull's query
control_socket_disable = True


def post_worker_init(worker: Any) -> None:
    """What was imported lives as long as the worker: the garbage collector need not look at it
    again in the middle of a large push."""
    gc.collect()
    gc.freeze()
