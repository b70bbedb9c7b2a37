"""The ASGI application: what is answered at once goes through Flask in a thread, what waits stays
in the loop."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from uuid import uuid4

from flask import Flask
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope
from structlog.contextvars import bind_contextvars
from werkzeug.middleware.proxy_fix import ProxyFix

from melon_api.core import create_core
from melon_api.errors import InternalError, Unavailable
from melon_api.live import calls, spaces
from melon_api.live.calls import ASKED, Asked, environ_of
from melon_api.live.desk import Desk, Seats, stop_pause
from melon_api.live.ear import Ear
from melon_api.live.heap import Heap
from melon_api.live.server import refusal
from melon_api.live.spaces import Clocks, Known
from melon_api.live.stream import Send, Stream, send_events, send_verdict
from melon_api.live.watch import AGE_AWAY, AGE_HEARING, AGE_WITHOUT_REDIS, Watch

log = logging.getLogger(__name__)

THREADS, MOST_WAITING = 6, 2_000  # requests that are about to be answered
OPEN_SECONDS = 5.0


class Live:
    """The process: `application` is its ASGI application, `work` runs beside it."""

    def __init__(self, settings: Any) -> None:
        self.flask = create_core(__name__, settings)
        self._seats, self._desk, self._heap = Seats(settings.LIVE_STREAMS), Desk(), Heap()
        self._ear = Ear(settings.REDIS_URL, self._hear) if settings.REDIS_URL else None
        self._watch = Watch(self._desk, partial(spaces.read, self.flask), self._age)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        calls.init_app(self.flask, self._seats, self)
        hops = settings.TRUSTED_PROXIES
        self.flask.wsgi_app = ProxyFix(self.flask.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]
        self.application = Starlette(
            routes=[
                Route("/healthz", _healthz, methods=["GET"]),
                Route("/{path:path}", _Answers(self.flask, self._go_on)),
            ],
            exception_handlers={Exception: _crashed},
        )

    async def work(self) -> None:
        """What goes on beside the streams; raises what it cannot live with."""
        self._loop = asyncio.get_running_loop()
        with self._heap.watched():
            async with asyncio.TaskGroup() as group:
                if self._ear:
                    group.create_task(self._ear.run())
                group.create_task(self._watch.run(self._listen_to))

    def stop(self) -> None:
        """All who wait are told to come again, each at a time of its own; nobody new is taken."""
        self._seats.is_closed = True
        self._heap.rest()
        loop = asyncio.get_running_loop()
        for stream in self._desk:
            loop.call_later(stop_pause(), stream.end, "this process stops")

    def open(self, stream: Stream) -> None:
        self._in_loop(self._open(stream))

    def begin(self, stream: Stream, clocks: Clocks, known: Known) -> None:
        self._in_loop(self._begin(stream, clocks, known))

    def close(self, stream: Stream) -> None:
        self._in_loop(self._close(stream))

    def _in_loop(self, work: Coroutine[Any, Any, None]) -> None:
        """From a request's thread."""
        if self._loop is None:
            work.close()
            raise Unavailable("This process has just begun.")
        done = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            done.result(OPEN_SECONDS)
        except TimeoutError:  # it does its work later, in the order in which it was asked
            raise Unavailable("This process does not get on; come again.") from None

    async def _open(self, stream: Stream) -> None:
        if self._desk.open(stream) and self._ear:
            await self._ear.listen_to([stream.user_id])

    async def _begin(self, stream: Stream, clocks: Clocks, known: Known) -> None:
        new = self._desk.begin(stream, clocks, known)
        if self._ear and new:
            await self._ear.listen_to(new)
        if self._ear and len(clocks) > 1:  # what was said there since they were read, it has missed
            self._desk.doubt(stream)
            self._watch.call()

    async def _close(self, stream: Stream) -> None:
        left = self._desk.close(stream)
        if left and self._ear and not self._seats.is_closed:  # Redis sees by itself that we stop
            await self._ear.forget(left)

    async def _go_on(self, asked: Asked, receive: Receive, send: Send) -> None:
        """From an answer's head on."""
        stream, begun = asked.stream, self._heap.looks
        gone = asyncio.create_task(_end_when_gone(stream, receive))
        try:
            if asked.wait is None:
                await send_events(stream, send)
            else:
                await send_verdict(stream, send, asked.wait)
        finally:
            gone.cancel()
            self._seats.give_back(stream.session_id)
            await self._close(stream)
            self._heap.stream_ended(begun, len(self._desk))
            log.info("a phone was told %d times: %s", stream.told, stream.end_reason or "answered")

    def _hear(self, space_id: str, poke: Any) -> None:
        self._desk.hear(space_id, poke)
        if self._desk.is_doubtful:
            self._watch.call()

    def _listen_to(self, space_ids: set[str]) -> None:
        if self._ear:
            task = asyncio.get_running_loop().create_task(self._ear.listen_to(space_ids))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _age(self) -> float:
        if self._ear is None:
            return AGE_WITHOUT_REDIS
        return AGE_HEARING if self._ear.is_sure else AGE_AWAY


class _Answers:
    """Flask's answer of a request, and what goes on behind it."""

    def __init__(
        self, app: Flask, go_on: Callable[[Asked, Receive, Send], Awaitable[None]]
    ) -> None:
        self._app, self._go_on = app, go_on
        self._threads = ThreadPoolExecutor(THREADS, "live request")
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._waiting >= MOST_WAITING:
            await _problem(Unavailable, "Too many ask at once; come again.")(scope, receive, send)
            return
        environ = environ_of(scope)
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            status, headers, body = await loop.run_in_executor(self._threads, self._answer, environ)
        except asyncio.CancelledError:  # no longer may a stop wait for a thread
            await _problem(Unavailable, "This process stops; come again.")(scope, receive, send)
            return
        finally:
            self._waiting -= 1
        asked: Asked | None = environ.get(ASKED)
        if asked is not None:
            headers = [(name, value) for name, value in headers if name != b"content-length"]
            bind_contextvars(request_id=dict(headers).get(b"x-request-id", b"-").decode())
            send = _Begun(send, headers)
            await self._go_on(asked, receive, send)
            return
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _answer(self, environ: dict[str, Any]) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        begun: list[tuple[int, list[tuple[bytes, bytes]]]] = []

        def start(status: str, headers: list[tuple[str, str]], _error: Any = None) -> Any:
            raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
            begun.append((int(status[:3]), raw))

        answer: Iterable[bytes] = self._app.wsgi_app(environ, start)
        body = b"".join(answer)
        if hasattr(answer, "close"):
            answer.close()
        return *begun[0], body


class _Begun:
    """Sends the head before the first part of the body, as late as that."""

    def __init__(self, send: Send, headers: list[tuple[bytes, bytes]]) -> None:
        self._send, self._headers, self._is_begun = send, headers, False

    async def __call__(self, message: Any) -> None:
        if not self._is_begun:
            self._is_begun = True
            head = {"type": "http.response.start", "status": 200, "headers": self._headers}
            await self._send(head)
        await self._send(message)


async def _end_when_gone(stream: Stream, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    stream.end("it went")


async def _healthz(_request: Request) -> Response:
    headers = {"Cache-Control": "no-store", "X-Request-ID": uuid4().hex}
    return Response(b'{"status":"ok"}', headers=headers, media_type="application/json")


def _problem(kind: Any, detail: str) -> Response:
    headers, body = refusal(kind, detail)
    return Response(body, kind.status, headers)


async def _crashed(_request: Request, _error: Exception) -> Response:
    return _problem(InternalError, InternalError.example.detail)
