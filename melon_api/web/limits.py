"""How often a call may be made: the one door to limits, for routes and for what stands in front.

An account is counted by its id. Whoever is not signed in has named an e-mail address at most, so
those calls count by that; and a call that can be made both ways (`NAMED_BY_EMAIL`) counts under
both names when its caller is signed in. So guesses at one password share one limit by whichever
call they come, and a changed address leaves the caller's count where it was.

Our own calls count by `Limiter.hit`, in one round trip at most. The routes of an app that want it
have the decorators of Flask-Limiter, which asks for each limit by itself; it counts in the same
storage, under the same names (docs/adr/8).
"""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar, cast

import flask_limiter
from flask import Flask, Response, current_app, g, request
from werkzeug.exceptions import TooManyRequests

from melon_api.storage.call_counts import SCHEME, CallCounts
from melon_api.web.limiter import (
    PREFIX,
    Key,
    Limiter,
    Verdict,
    hashed,
    network_of,
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
    hooks = app.before_request_funcs[None]
    before = len(hooks)
    limiter.init_app(app)
    del hooks[before:]  # what it decorates asks it again; all other calls need not
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
    when: Callable[[Any], bool] = lambda _body: True,
    *,
    quietly: bool = False,
    is_to_others: bool = False,
) -> Callable[[Callable[..., R]], Callable[..., R | None]]:
    """Limit a call that sends mail by `RATELIMIT_FORGOT_PER_ACCOUNT`: for the recipient, whoever
    asks by whichever call (the `email` in the body, the caller's own), and for a signed-in caller.

    `quietly`: the view is not called then, and nothing is said (contract, Accounts 13).
    `is_to_others`: only the `email` in the body is mailed, and how many a caller may have sent is
    another limit.
    """

    def decorate(view: Callable[..., R]) -> Callable[..., R | None]:
        @wraps(view)
        def checked(*args: Any, **kwargs: Any) -> R | None:
            body = _body(args)
            if not (current_app.config["RATELIMIT_ENABLED"] and when(body)):
                return view(*args, **kwargs)
            mailed = (hashed(body["email"]),) if is_to_others else _mailed(body)
            verdict = limiter_of(current_app).hit(MAIL, Key(mailed, ()))
            if quietly:
                g.verdict = verdict
                return view(*args, **kwargs) if verdict.is_allowed else None
            if not verdict.is_allowed:
                _abide(verdict)
            return view(*args, **kwargs)

        return note(checked, limited=True)

    return decorate


def may_mail(email: str) -> bool:
    """Count a mail that a call sends beside its work, which is done whether or not it is sent."""
    if not current_app.config["RATELIMIT_ENABLED"]:
        return True
    return limiter_of(current_app).hit(MAIL, Key((hashed(email),), ())).is_allowed


def _mailed(body: Mapping[str, Any]) -> tuple[str, ...]:
    caller = g.get("caller")
    own = caller.profile.email if caller and caller.profile else None
    recipients = dict.fromkeys(email for email in (body.get("email"), own) if email)
    return (*([caller.user_id] if caller else []), *map(hashed, recipients))


def limited_anonymous(call: str) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """The same for a call of whoever is not signed in, with its body: for the address, and for the
    account whose `email` is in it (of a mail: `limited_mail`)."""

    def decorate(view: Callable[..., R]) -> Callable[..., R]:
        @wraps(view)
        def checked(*args: Any, **kwargs: Any) -> R:
            if current_app.config["RATELIMIT_ENABLED"]:
                email = None if call == MAIL else _body(args).get("email")
                account = (hashed(email),) if email else ()
                _abide(limiter_of(current_app).hit(call, Key(account, (client(),))))
            return view(*args, **kwargs)

        return note(checked, limited=True)

    return decorate


def key_of(call: str, user_id: str, email: str | None, address: str | None) -> Key:
    """Of a signed-in caller."""
    by_email = (hashed(email),) if email and call in NAMED_BY_EMAIL else ()
    return Key((user_id, *by_email), (network_of(address),))


def limiter_of(app: Flask) -> Limiter:
    """Of an application whose limits are on."""
    return cast(Limiter, app.extensions[EXTENSION])


def counted(
    app: Flask, call: str, user_id: str, environ: dict[str, Any]
) -> list[tuple[str, str]] | None:
    """Count a signed-in caller's request in front of Flask: the headers about limits; None when one
    is reached, which is left for Flask to say."""
    if not app.config["RATELIMIT_ENABLED"]:
        return []
    key = key_of(call, user_id, None, environ.get("REMOTE_ADDR"))
    verdict = environ[VERDICT] = limiter_of(app).hit(call, key)
    return verdict.headers if verdict.is_allowed else None


def write_headers(response: Response) -> Response:
    """`Retry-After` goes with a 429 alone."""
    verdict = g.get("verdict") or request.environ.get(VERDICT) or _flask_limiters_verdict()
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
    _abide(verdict)


def _abide(verdict: Verdict) -> None:
    """Raises TooManyRequests."""
    g.verdict = verdict
    if not verdict.is_allowed:
        raise TooManyRequests(str(verdict.item))


def _flask_limiters_verdict() -> Verdict | None:
    limit = limiter.current_limit
    if limit is None:
        return None
    return Verdict(not limit.breached, limit.limit, limit.remaining, limit.window[0])


def _body(args: tuple[Any, ...]) -> Mapping[str, Any]:
    return next((arg for arg in args if isinstance(arg, dict)), {})
