"""How often a call may be made: the one door to limits, for routes and for the idle pull.

An account is counted by its id. Whoever is not signed in has named an e-mail address at most, so
those calls count by that; and a call that can be made both ways (`NAMED_BY_EMAIL`) counts under
both names when its caller is signed in. So guesses at one password share one limit by whichever
call they come, and a changed address leaves the caller's count where it was.

Calls of signed-in callers, nearly all there are, count by `Limiter.hit` in one round trip. The
others, and the routes of an app that want it, have the decorators of Flask-Limiter, which asks for
each limit by itself; it counts in the same storage, under the same names (docs/adr/8).
"""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar, cast

import flask_limiter
from flask import Flask, Response, current_app, g, request
from werkzeug.exceptions import TooManyRequests

from melon_api.storage.call_counts import SCHEME, CallCounts
from melon_api.web.limiter import (
    ACCOUNT,
    ADDRESS,
    PREFIX,
    Key,
    Limiter,
    Verdict,
    hashed,
    network_of,
    scope,
    setting,
)
from melon_api.web.openapi.notes import note

R = TypeVar("R")
NAMED_BY_EMAIL = {"LOGIN", "FORGOT"}
VERDICT = "melon.verdict"  # in the WSGI environment of a request that was counted already
EXTENSION = "call_limiter"


def client() -> str:
    return network_of(request.remote_addr)


limiter = flask_limiter.Limiter(key_func=client, key_prefix=PREFIX)


def init_app(app: Flask) -> None:
    app.config["RATELIMIT_STORAGE_URI"] = f"{SCHEME}://"
    app.config["RATELIMIT_STORAGE_OPTIONS"] = {"redis_url": app.config["REDIS_URL"]}
    limiter.init_app(app)
    if app.config["RATELIMIT_ENABLED"]:
        counts = cast(CallCounts, limiter.storage)
        app.extensions[EXTENSION] = Limiter(counts, app.config["LIMITS"])
        app.after_request(write_headers)


def limited(
    call: str, when: Callable[[Any], bool] = lambda _body: True
) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Limit a call of a signed-in caller by `RATELIMIT_<CALL>_PER_ACCOUNT` and `…_PER_ADDRESS`; 429
    `rate_limited`.

    Views of the same `call` share their limits. Stands next to the view, behind `signed_in`; `when`
    the body says so.
    """

    def decorate(view: Callable[..., R]) -> Callable[..., R]:
        @wraps(view)
        def checked(*args: Any, **kwargs: Any) -> R:
            if current_app.config["RATELIMIT_ENABLED"] and when(_body(args)):
                _hit(call)
            return view(*args, **kwargs)

        return note(checked, limited=True)

    return decorate


def limited_anonymous(call: str) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """The same for a call of whoever is not signed in, with its body: for the address, and for the
    account whose `email` is in it."""

    def decorate(view: Callable[..., R]) -> Callable[..., R]:
        per_account = limiter.shared_limit(
            _numbers(call, ACCOUNT),
            scope(call, ACCOUNT),
            key_func=lambda: hashed(g.named_email),
            exempt_when=lambda: g.named_email is None,
        )
        per_address = limiter.shared_limit(_numbers(call, ADDRESS), scope(call, ADDRESS))
        counted = per_address(per_account(view))

        @wraps(view)
        def checked(*args: Any, **kwargs: Any) -> R:
            g.named_email = _body(args).get("email") or None
            is_on = current_app.config["RATELIMIT_ENABLED"]
            return counted(*args, **kwargs) if is_on else view(*args, **kwargs)

        return note(checked, limited=True)

    return decorate


def key_of(call: str, user_id: str, email: str | None, address: str | None) -> Key:
    """Of a signed-in caller."""
    by_email = (hashed(email),) if email and call in NAMED_BY_EMAIL else ()
    return Key((user_id, *by_email), (network_of(address),))


def limiter_of(app: Flask) -> Limiter:
    """Of an application whose limits are on."""
    return cast(Limiter, app.extensions[EXTENSION])


def write_headers(response: Response) -> Response:
    """`Retry-After` goes with a 429 alone."""
    verdict = g.get("verdict") or _flask_limiters_verdict()
    if verdict is None:
        return response
    response.headers.update(verdict.headers)
    if response.status_code == 429:
        response.headers["Retry-After"] = response.headers["RateLimit-Reset"]
    return response


def _hit(call: str) -> None:
    """Raises TooManyRequests."""
    verdict: Verdict | None = request.environ.get(VERDICT)
    if verdict is None:
        caller = g.caller
        email = caller.profile and caller.profile.email
        key = key_of(call, caller.user_id, email, request.remote_addr)
        verdict = limiter_of(current_app).hit(call, key)
    g.verdict = verdict
    if not verdict.is_allowed:
        raise TooManyRequests(str(verdict.item))


def _flask_limiters_verdict() -> Verdict | None:
    limit = limiter.current_limit
    if limit is None:
        return None
    return Verdict(not limit.breached, limit.limit, limit.remaining, limit.window[0])


def _numbers(call: str, who: str) -> Callable[[], str]:
    return lambda: str(current_app.config["LIMITS"][setting(call, who)])


def _body(args: tuple[Any, ...]) -> Mapping[str, Any]:
    return next((arg for arg in args if isinstance(arg, dict)), {})
