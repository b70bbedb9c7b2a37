"""How often a call may be made, for each client address and each account.

Counted in Redis; while it is away, in each process's memory (Flask-Limiter's fallback). The numbers
are settings, see `LIMITS` in config.py.
"""

import hashlib
import ipaddress
import math
import re
import time
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any, TypeVar

import redis
from flask import Flask, Response, current_app, g
from flask_limiter.util import get_remote_address

from melon_api.extensions import limiter

R = TypeVar("R")
ATTEMPTS = 3
PORT = re.compile(r"^\[(.+)\](?::\d+)?$|^([^:]+):\d+$")  # some routers add it
NETWORK_BITS = 64  # of an IPv6 address: what one customer is given, and may roam in


def init_app(app: Flask) -> None:
    app.after_request(honest_headers)


def limited(
    call: str, when: Callable[[Any], bool] = lambda _body: True
) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Limit a call by `RATELIMIT_<CALL>_PER_ADDRESS` and `…_PER_ACCOUNT`; 429 `rate_limited`.

    Views of the same `call` share their limits. Stands next to the view: behind `signed_in`, whose
    caller is the account, or behind the body, whose `email` is; `when` that body says so.
    """

    def decorate(view: Callable[..., R]) -> Callable[..., R]:
        counted = limiter.shared_limit(
            _of(call, "ACCOUNT"),
            f"{call} account",
            key_func=lambda: g.limited_account,
            exempt_when=_is_nobodys,
        )(view)
        counted = limiter.shared_limit(_of(call, "ADDRESS"), f"{call} address", key_func=_network)(
            counted
        )

        @wraps(view)
        def checked(*args: Any, **kwargs: Any) -> R:
            body = next((arg for arg in args if isinstance(arg, dict)), {})
            g.limited_account = _named(body)
            return _counted(counted if when(body) else view, *args, **kwargs)

        return checked

    return decorate


def _counted(view: Callable[..., R], *args: Any, **kwargs: Any) -> R:
    """Flask-Limiter turns to its memory when Redis fails; but of several requests that fail at the
    same moment, only the first does, and the others raise."""
    for _ in range(ATTEMPTS):
        with suppress(redis.RedisError):
            return view(*args, **kwargs)
    return view(*args, **kwargs)


def honest_headers(response: Response) -> Response:
    """What is left of the limit, its end in seconds from now; `Retry-After` only with a 429."""
    limit = limiter.current_limit
    if limit is None:
        return response
    try:
        wait, left = limit.reset_at - time.time(), limit.remaining
    except redis.RedisError:  # gone since it was asked; the next request turns to the memory
        return response
    seconds = str(min(limit.limit.get_expiry(), max(1, math.ceil(wait))))
    response.headers["RateLimit-Limit"] = str(limit.limit.amount)
    response.headers["RateLimit-Remaining"] = str(max(0, left))
    response.headers["RateLimit-Reset"] = seconds
    if response.status_code == 429:
        response.headers["Retry-After"] = seconds
    return response


def _of(call: str, what: str) -> Callable[[], str]:
    name = f"RATELIMIT_{call}_PER_{what}"
    return lambda: str(current_app.config["LIMITS"][name])


def _named(body: dict[str, Any]) -> str | None:
    """Whose call it is: the caller's, or that of the address in the body; not in the clear."""
    email = g.caller.profile.email if "caller" in g else body.get("email")
    return hashlib.sha256(email.encode()).hexdigest() if email else None


def _is_nobodys() -> bool:
    return g.limited_account is None


def _network() -> str:
    text = PORT.sub(r"\1\2", get_remote_address())
    try:
        address = ipaddress.ip_address(text)
    except ValueError:  # a router may put anything there
        return text
    if address.version == 6 and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, NETWORK_BITS), strict=False))
    return str(address)
