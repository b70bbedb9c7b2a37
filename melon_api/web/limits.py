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
MAIL = "FORGOT"  # its setting's name: a mail that somebody asks for, or has sent
NAMED_BY_EMAIL = {"LOGIN", MAIL}
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


def limited_mail(
    when: Callable[[Any], bool] = lambda _body: True, *, quietly: bool = False
) -> Callable[[Callable[..., R]], Callable[..., R | None]]:
    """Limit a call that sends mail by `RATELIMIT_FORGOT_PER_ACCOUNT`: for the recipient, whoever
    asks by whichever call (the `email` in the body, the caller's own), and for a signed-in caller.

    `quietly`: the view is not called then, and nothing is said (contract, Accounts 13).
    """

    def decorate(view: Callable[..., R]) -> Callable[..., R | None]:
        @wraps(view)
        def checked(*args: Any, **kwargs: Any) -> R | None:
            body = _body(args)
            if not (current_app.config["RATELIMIT_ENABLED"] and when(body)):
                return view(*args, **kwargs)
            verdict = limiter_of(current_app).hit(MAIL, Key(_mailed(body), ()))
            if quietly or not verdict.is_allowed:
                g.verdict = verdict
            if verdict.is_allowed:
                return view(*args, **kwargs)
            if quietly:
                return None
            raise TooManyRequests(str(verdict.item))

        return note(checked, limited=True)

    return decorate


def _mailed(body: Mapping[str, Any]) -> tuple[str, ...]:
    caller = g.get("caller")
    own = caller.profile.email if caller and caller.profile else None
    recipients = dict.fromkeys(email for email in (body.get("email"), own) if email)
    return (*([caller.user_id] if caller else []), *map(hashed, recipients))


def limited_anonymous(call: str) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """The same for a call of whoever is not signed in, with its body: for the address, and for the
    account whose `email` is in it (of a mail: `limited_mail`)."""

    def decorate(view: Callable[..., R]) -> Callable[..., R]:
        per_account = limiter.shared_limit(
            _numbers(call, ACCOUNT),
            scope(call, ACCOUNT),
            key_func=lambda: hashed(g.named_email),
            exempt_when=lambda: g.named_email is None,
        )
        per_address = limiter.shared_limit(_numbers(call, ADDRESS), scope(call, ADDRESS))
        counted = per_address(view if call == MAIL else per_account(view))

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
