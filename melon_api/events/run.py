"""In development whoever serves tells what is committed, too, so that one command shows it all."""

import threading

from flask import Flask

from melon_api.events.turns import Turns
from melon_api.events.worker import Worker

THREADS = 2  # beside the requests


def init_app(app: Flask) -> None:
    """From the first request on: a command has none."""
    if app.config["RUNS_EVENTS"]:
        app.before_request(_Once(app).start)


class _Once:
    def __init__(self, app: Flask) -> None:
        self._app, self._lock, self._is_started = app, threading.Lock(), False

    def start(self) -> None:
        if self._is_started:
            return
        with self._lock:
            if not self._is_started:
                Worker(Turns(self._app), THREADS).start()
                self._is_started = True
