"""`GET /sync/live` as far as an answer begins: who asks, for what, and whether there is room. What
every request passes in a web process, it passes here."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from flask import Flask, Response, request
from marshmallow import ValidationError
from werkzeug.datastructures import MIMEAccept

from melon_api.auth.guard import caller, signed_in
from melon_api.errors import NotAcceptable, TokenRevoked, ValidationFailed
from melon_api.live import spaces
from melon_api.live.desk import Seats
from melon_api.live.spaces import Clocks, Known
from melon_api.live.stream import Stream
from melon_api.refusals import Refusals
from melon_api.sync.schemas import ClockField
from melon_api.sync.sql.clock import FAR_AHEAD, is_far_ahead
from melon_api.web.request import API

PATH = f"{API}/sync/live"
ASKED = "melon.live"  # in the WSGI environment: what is to go on when the answer has begun
EVENTS, JSON = "text/event-stream", "application/json"
WAIT_SECONDS, MOST_WAIT_SECONDS = 25.0, 55.0
# A body; and how an answer may be packed, of which Flask sees but the beginning.
LEFT_OUT = {b"content-length", b"transfer-encoding", b"accept-encoding"}
SECONDS = re.compile(r"[0-9]{1,64}(\.[0-9]{1,64})?")


@dataclass(frozen=True)
class Asked:
    """`wait`: how long a long poll waits, in seconds; None for a stream."""

    stream: Stream
    wait: float | None


class Opener(Protocol):
    """The loop's side, for the threads of requests."""

    def open(self, stream: Stream) -> None:
        """Have it hear of all that is committed from now on."""

    def begin(self, stream: Stream, clocks: Clocks, known: Known) -> None:
        """Tell it what has come by then."""

    def close(self, stream: Stream) -> None: ...


def init_app(app: Flask, seats: Seats, opener: Opener) -> None:
    app.add_url_rule(PATH, "live", _view(app, seats, opener), methods=["GET"])


def _view(app: Flask, seats: Seats, opener: Opener) -> Callable[[], Response]:
    @signed_in(verified=True)
    def live() -> Response:
        """Wait for news."""
        kind = _kind(request.accept_mimetypes)
        since, wait = _read(request.args.to_dict())
        if request.method == "GET":
            session_id, user_id = caller().session_id, caller().user_id
            seats.take(session_id)
            stream = Stream(session_id, user_id, since)
            try:
                _begin(app, opener, stream)
            except BaseException:
                try:
                    opener.close(stream)
                finally:
                    seats.give_back(session_id)
                raise
            request.environ[ASKED] = Asked(stream, wait if kind == JSON else None)
        response = Response(status=200, content_type=kind)
        response.headers["X-Accel-Buffering"] = "no"  # nginx would hold events back
        return response

    return live


def _begin(app: Flask, opener: Opener, stream: Stream) -> None:
    """First it listens, then the clocks are read: what is committed between is heard. Raises
    TokenRevoked."""
    opener.open(stream)
    found = spaces.read_one(app, stream.session_id, stream.user_id, stream.since)
    if found is None:
        raise TokenRevoked
    opener.begin(stream, *found)


def _kind(accepted: MIMEAccept) -> str:
    """Events, unless JSON is asked for by name. Raises NotAcceptable."""
    kind = accepted.best_match((EVENTS, JSON)) if accepted else EVENTS
    if kind is None:
        raise NotAcceptable(f"This call answers {EVENTS} and {JSON}.")
    return kind


def _read(query: dict[str, str]) -> tuple[int, float]:
    """`since` in ms and `wait` in seconds. Raises ValidationFailed that names what is wrong."""
    refusals = Refusals()
    with refusals.noted():
        since = _since(query.get("since"))
    with refusals.noted():
        wait = _wait(query.get("wait"))
    refusals.raise_any()
    return since, wait


def _since(text: str | None) -> int:
    try:
        since: int = ClockField(load_default=0, allow_none=True).deserialize(text)
    except ValidationError as error:
        raise ValidationFailed({"since": error.messages}) from None
    if is_far_ahead(since):
        raise ValidationFailed({"since": FAR_AHEAD["lastPulledAt"]})
    return since


def _wait(text: str | None) -> float:
    if text is None:
        return WAIT_SECONDS
    if not SECONDS.fullmatch(text):
        raise ValidationFailed({"wait": ["A number of seconds is needed."]})
    return min(float(text), MOST_WAIT_SECONDS)


def environ_of(scope: Any) -> dict[str, Any]:
    """The WSGI environment (PEP 3333) of an ASGI request, whose body nobody reads."""
    host, port = scope.get("server") or ("localhost", 80)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode().decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": (scope.get("client") or ("", 0))[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": None,
        "wsgi.errors": None,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        if b"_" in name or name in LEFT_OUT:  # a name with it passes for another one
            continue
        key = "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]},{text}" if key in environ else text
    return environ
