"""gunicorn's worker over the hub: threads answer whole requests, and wait for nobody's network."""

import contextlib
import os
import resource
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from gunicorn.arbiter import Arbiter
from gunicorn.http import wsgi
from gunicorn.workers.base import Worker as Base

from server.connection import Connection
from server.hub import Hub
from server.limits import Limits
from server.refusals import refuse

SPARED_FILES = 256  # of a process's, for databases, logs and what the app opens
STOP_IDLE_SECONDS = 2.0  # a stop leaves kept connections so long for a request that is on its way
MOST_BODY_BYTES = 32 << 20  # of an application that does not say

# All workers refuse to start for the same reasons: who reads this byte says them.
word, pen = os.pipe()
os.write(pen, b"!")
os.set_blocking(word, False)


class Worker(Base):  # type: ignore[misc]
    """`silence` and `drain_seconds`: SILENCE_SECONDS and DRAIN_SECONDS, gunicorn.conf.py's."""

    silence = 20.0
    drain_seconds = 0.0
    is_draining = False

    @classmethod
    def check_config(cls, _cfg: Any, _log: Any) -> None:
        """gunicorn asks every class; there is nothing to say."""

    def load_wsgi(self) -> None:
        try:
            super().load_wsgi()
        except SystemExit as refusal:  # wsgi.py's, with the list of what is wrong
            self.refuse_to_start(refusal)
        # Not at the top: the master, which reads this file, does without the application.
        from melon_api.threads import Threads  # noqa: PLC0415

        self.threads = Threads(self.cfg.threads)

    def refuse_to_start(self, refusal: SystemExit) -> None:
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
        if not (self.booted and self.drain_seconds):
            self.alive = False
            return
        if self.is_draining:
            return
        self.is_draining = True
        from melon_api.ops import health  # noqa: PLC0415 - as above

        health.announce_stop()
        # The master kills what is left when the same time is over: be gone before, by ourselves.
        left = self.cfg.graceful_timeout - self.drain_seconds - 2
        self.cfg.set("graceful_timeout", max(0, int(left)))
        last = threading.Timer(self.drain_seconds, self.end)
        last.daemon = True
        last.start()

    def end(self) -> None:
        """Take no more connections; what is under way goes on."""
        self.alive = False
        os.write(self.PIPE[1], b"!")

    def run(self) -> None:
        self.hub = hub = Hub(self.cfg, self.limits(), self.put_into_thread, self.known_by())
        hub.listen(self.sockets, self.PIPE[0], self.hear)
        while self.alive and self.ppid == os.getppid():
            self.notify()
            hub.turn(1.0, takes_more=True)
        hub.open(False)
        started = time.monotonic()
        while len(hub) and time.monotonic() < started + self.cfg.graceful_timeout:
            self.notify()
            hub.close_idle(time.monotonic() - STOP_IDLE_SECONDS)
            hub.turn(0.1, takes_more=False)
        hub.close()
        self.threads.shutdown()
        for listener in self.sockets:
            listener.close()

    def hear(self) -> None:
        """A signal came, or `end` was called: the loop looks at what they have left."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.PIPE[0], 4_096)

    def limits(self) -> Limits:
        """As many connections as was said, where the system has the files for it: a body or an
        answer may be one, too."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with contextlib.suppress(ValueError, OSError):  # macOS says "no limit", and has one
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        files = (soft - SPARED_FILES) // 2 if soft != resource.RLIM_INFINITY else sys.maxsize
        return Limits(
            silence=self.silence,
            keepalive=self.cfg.keepalive,
            body_bytes=getattr(self.wsgi, "config", {}).get("MAX_CONTENT_LENGTH", MOST_BODY_BYTES),
            connections=max(self.cfg.threads + 1, min(self.cfg.worker_connections, files)),
        )

    def known_by(self) -> Callable[[Any], bool]:
        """Whose requests go first: those with a token that this server has signed."""
        from melon_api.auth.tokens import is_signed_here  # noqa: PLC0415 - as above

        keys = getattr(self.wsgi, "extensions", {}).get("token_keys", {})
        return partial(is_signed_here, keys)

    def put_into_thread(self, connection: Connection) -> None:
        self.threads.run(partial(self.serve, connection), is_stranger=not connection.is_member)

    def serve(self, connection: Connection) -> None:
        """Answer its request. Runs in a thread, which is free afterwards, however slowly the answer
        is read."""
        status, is_over, arrival = 500, True, connection.arrival
        if arrival and arrival.error is not None:
            status = refuse(connection.outbox, connection.peer, arrival.error)
        elif arrival:
            try:
                status, is_over = self.answer(arrival.request, connection)
            except (Exception, SystemExit) as error:
                status = self.failed(connection, error)
        connection.answered(status, is_over=is_over)

    def failed(self, connection: Connection, error: BaseException) -> int:
        """What the application raised itself is a 500, while nothing has been said."""
        outbox = connection.outbox
        if outbox.is_broken:
            self.log.debug("Nobody is there for the answer: %r", error)
        elif isinstance(error, AnswerCut):
            outbox.is_broken = True  # what is missing of it must not look like its end
        else:
            return refuse(outbox, connection.peer, error)
        return 500

    def answer(self, request: Any, connection: Connection) -> tuple[int, bool]:
        """As gunicorn's own workers do: its status, and whether the connection ends with it."""
        started = datetime.now()
        environ, response = {}, None
        try:
            self.cfg.pre_request(self, request)
            response, environ = wsgi.create(
                request, connection.outbox, connection.peer, connection.address, self.cfg
            )
            environ["wsgi.multithread"] = True
            self.count()
            if self.is_draining or not self.alive or not self.cfg.keepalive:
                response.force_close()
            self.write(environ, response, request, started)
        except (Exception, SystemExit) as error:
            if response is not None and response.headers_sent:
                if not connection.outbox.is_broken:
                    self.log.exception("Error handling request")
                raise AnswerCut from error
            raise
        finally:
            try:
                self.cfg.post_request(self, request, environ, response)
            except Exception:
                self.log.exception("Exception in post_request hook")
        return response.status_code, response.should_close()

    def write(self, environ: Any, response: Any, request: Any, started: datetime) -> None:
        """Call the application, and put what it says into the outbox."""
        answer = self.wsgi(environ, response.start_response)
        try:
            if isinstance(answer, environ["wsgi.file_wrapper"]):
                response.write_file(answer)
            else:
                for item in answer:
                    response.write(item)
            response.close()
        finally:
            self.log.access(response, request, environ, datetime.now() - started)
            if hasattr(answer, "close"):
                answer.close()

    def count(self) -> None:
        """One more request; the last of a worker's life is its end."""
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.end()


class AnswerCut(Exception):
    """The application failed in the middle of its answer."""
