"""uvicorn, held to the contract: how long a connection may be silent, what a refusal looks like,
and how the process stops."""

import asyncio
import logging
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http import HTTPStatus
from types import FrameType
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

import click
import h11
import orjson
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from melon_api.errors import BadRequest, DomainError, Example, Unavailable
from melon_api.web.problems import as_problem

if TYPE_CHECKING:
    from melon_api.live.app import Live

GRACE_SECONDS = 9  # from SIGTERM until nobody is waited for
LAST_SECONDS = 9.8  # then a thread that waits for a database that is silent ends with the process
UNREAD_BYTES = 8 << 10  # of what one has not read, in our memory; twice as much in the system's
SPARED_FILES = 128
STRANGERS = 1_000  # connections beside the streams
PROBLEM = "application/problem+json"

log = logging.getLogger(__name__)


def refusal(kind: type[DomainError], detail: str) -> tuple[dict[str, str], bytes]:
    """Headers and body of an answer that Flask does not give; logged (contract, Errors 3)."""
    name = uuid4().hex
    log.info("%d %s %s request_id=%s", kind.status, kind.code, detail, name)
    headers = {"Content-Type": PROBLEM, "Cache-Control": "no-store", "X-Request-ID": name}
    again = {"Retry-After": "5"} if kind is Unavailable else {}
    return headers | again, orjson.dumps(as_problem(kind, Example(detail), name))


class Protocol(H11Protocol):
    """A connection. `silence`: SILENCE_SECONDS; `most`: connections at once."""

    silence: ClassVar[float] = 20.0
    most: ClassVar[int] = sys.maxsize
    _patience: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=UNREAD_BYTES)
        with suppress(OSError, AttributeError):
            line = transport.get_extra_info("socket")
            line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNREAD_BYTES)
            # The other end may be gone without a word, or take nothing.
            timeout = int(self.silence * 1000)
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, timeout)
        if len(self.connections) > self.most:
            self._refuse(Unavailable, "This process has as many connections as it can take.")
            return
        self._wait_for_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose_patience(None)
        self.resume_writing()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        super().handle_events()
        if self._is_answering:
            self._lose_patience(None)

    def on_response_complete(self) -> None:
        self._wait_for_request()
        super().on_response_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(self.silence, self.transport.abort)

    def resume_writing(self) -> None:
        if self._unread:
            self._unread.cancel()
            self._unread = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """No page, and no plain text."""
        if self._is_answering:
            self.transport.abort()
        else:
            self._refuse(BadRequest, "This is no HTTP request.")

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait_for_request(self) -> None:
        self._lose_patience(self.loop.call_later(self.silence, self._hang_up))

    def _lose_patience(self, later: asyncio.TimerHandle | None) -> None:
        if self._patience:
            self._patience.cancel()
        self._patience = later

    def _hang_up(self) -> None:
        if not self._is_answering:
            self.transport.abort()

    def _refuse(self, kind: type[DomainError], detail: str) -> None:
        headers, body = refusal(kind, detail)
        length = {"Content-Length": str(len(body)), "Connection": "close"}
        lines = "".join(f"{name}: {value}\r\n" for name, value in (headers | length).items())
        head = f"HTTP/1.1 {kind.status} {HTTPStatus(kind.status).phrase}\r\n{lines}\r\n"
        self.transport.write(head.encode() + body)
        self.transport.close()
        with suppress(h11.LocalProtocolError):
            self.conn.send_failed()


class Server(uvicorn.Server):
    """Stops as the platform asks, and says so by its exit code alone."""

    def __init__(self, config: uvicorn.Config, stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._stop = stop

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.handle_exit)
        yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not self.should_exit:
            asyncio.get_running_loop().call_soon_threadsafe(self._stop)
            last = threading.Timer(LAST_SECONDS, os._exit, [0])
            last.daemon = True
            last.start()
        super().handle_exit(sig, frame)


async def serve(live: "Live", settings: Any) -> int:
    """Until SIGTERM; the exit code."""
    silence = float(settings.SILENCE_SECONDS)
    most = min(settings.LIVE_STREAMS + STRANGERS, _files() - SPARED_FILES)
    host, port = settings.HOST, settings.PORT if os.environ.get("PORT") else settings.LIVE_PORT
    config = uvicorn.Config(
        live.application,
        host=host,
        port=port,
        http=type("LimitedProtocol", (Protocol,), {"silence": silence, "most": most}),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,  # its paths have queries
        proxy_headers=False,  # Flask's part
        server_header=False,
        timeout_keep_alive=int(silence),
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = Server(config, live.stop)
    asyncio.get_running_loop().set_exception_handler(NoFiles())
    click.echo(f"Live on http://{host}:{port}", err=True)
    work = asyncio.create_task(live.work())
    work.add_done_callback(partial(_fail, server, live))
    try:
        await server.serve()
    except SystemExit:  # it could not listen, and has said so
        return 1
    failed = work.done()
    work.cancel()
    with suppress(asyncio.CancelledError):
        await work
    return int(failed)


def _fail(server: Server, live: "Live", _work: "asyncio.Task[None]") -> None:
    """Without what goes on beside them, streams tell nothing: they end as at a stop, and the
    platform starts us again."""
    if not server.should_exit:
        live.stop()
    server.should_exit = True


class NoFiles:
    """What asyncio says of what nobody awaits. While no file is left, it says so thousands of times
    a second, with a traceback each time: once for each connection that it might have taken."""

    SAID, AGAIN_SECONDS = "socket.accept() out of system resource", 60.0

    def __init__(self) -> None:
        self._said = -self.AGAIN_SECONDS

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if context.get("message") != self.SAID:
            loop.default_exception_handler(context)
        elif loop.time() > self._said + self.AGAIN_SECONDS:
            self._said = loop.time()
            log.warning("no file is left: who comes waits (%s)", context["exception"])


def _files() -> int:
    """As many as the system lets us have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft
