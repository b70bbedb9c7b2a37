"""How often a call may be made, for each client address and each account.

Counted in Redis; while it is away, in each process's memory (Flask-Limiter's fallback). The numbers
are settings, see `LIMITS` in config.py. The calls of `/sync`, by far the most, are counted
in one round trip (limit_counts.py), and an idle pull before Flask has seen it.
"""

import functools
import hashlib
import ipaddress
import math
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import wraps
from typing import Any, NamedTuple, TypeVar

import redis
from flask import Flask, Response, current_app, g, request
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from limits import RateLimitItem, parse_many

from melon_api.web.limit_counts import CountedStorage

R = TypeVar("R")
limiter = Limiter(key_func=get_remote_address)
ATTEMPTS = 3
PORT = re.compile(r"^\[(.+)\](?::\d+)?$|^([^:]+):\d+$")  # some routers add it
COUNTED = "melon.counted"  # in the WSGI environment of a request that was
NETWORK_BITS = 64  # of an IPv6 address: what one customer is given, and may roam in


def init_app(app: Flask) -> None:
    limiter.init_app(app)
    if app.config["RATELIMIT_ENABLED"]:
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
            _scope(call, "ACCOUNT"),
            key_func=lambda: g.limited_account,
            exempt_when=_is_nobodys,
        )(view)
        counted = limiter.shared_limit(
            _of(call, "ADDRESS"),
            _scope(call, "ADDRESS"),
            key_func=lambda: network_of(get_remote_address()),
        )(counted)

        @wraps(view)
        def checked(*args: Any, **kwargs: Any) -> R:
            if not current_app.config["RATELIMIT_ENABLED"]:
                return view(*args, **kwargs)
            body = next((arg for arg in args if isinstance(arg, dict)), {})
            g.limited_account = _named(body)
            if "caller" in g and COUNTED not in request.environ:
                with suppress(redis.RedisError):  # Flask-Limiter meets it, too, and sees to it
                    count(current_app.config, call, g.limited_account, get_remote_address())
            return _counted(counted if when(body) else view, *args, **kwargs)

        # for /openapi.json: which calls are limited
        checked._apidoc = {  # type: ignore[attr-defined]
            **getattr(view, "_apidoc", {}),
            "limited": True,
        }
        return checked

    return decorate


def _counted(view: Callable[..., R], *args: Any, **kwargs: Any) -> R:
    """Flask-Limiter turns to its memory when Redis fails; but of several requests that fail at the
    same moment, only the first does, and the others raise."""
    for _ in range(ATTEMPTS):
        with suppress(redis.RedisError):
            return view(*args, **kwargs)
    return view(*args, **kwargs)


class Verdict(NamedTuple):
    """Whether a call may be made, and the headers that say how many more."""

    is_allowed: bool
    headers: list[tuple[str, str]]


def count(
    config: Mapping[str, Any], call: str, account: str, address: str | None
) -> Verdict | None:
    """Count a call of an account (as `account_of` names it) from an address, on all its limits.

    None while Flask-Limiter counts in memory. Raises redis.RedisError.
    """
    storage = limiter.limiter.storage
    if not isinstance(storage, CountedStorage):
        return None
    prefix = config["RATELIMIT_KEY_PREFIX"]
    limits = [(item, "ACCOUNT", account) for item in _items(config, call, "ACCOUNT")]
    limits += [(item, "ADDRESS", network_of(address)) for item in _items(config, call, "ADDRESS")]
    counts = storage.count(
        [(i.key_for(prefix, who, _scope(call, what)), i.get_expiry()) for i, what, who in limits]
    )
    is_allowed = all(n.calls <= item.amount for n, (item, *_) in zip(counts, limits, strict=True))
    item, (calls, end) = limits[0][0], counts[0]  # the account's shortest, as Flask-Limiter tells
    return Verdict(is_allowed, _headers(item, item.amount - calls, int(end + 1)))


def honest_headers(response: Response) -> Response:
    """What is left of the limit, its end in seconds from now; `Retry-After` only with a 429."""
    limit = limiter.current_limit
    if limit is None:
        return response
    try:
        headers = _headers(limit.limit, limit.remaining, limit.reset_at)
    except redis.RedisError:  # gone since it was asked; the next request turns to the memory
        return response
    response.headers.update(headers)
    if response.status_code == 429:
        response.headers["Retry-After"] = response.headers["RateLimit-Reset"]
    return response


def _headers(item: RateLimitItem, left: int, end: float) -> list[tuple[str, str]]:
    seconds = min(item.get_expiry(), max(1, math.ceil(end - time.time())))
    return [
        ("RateLimit-Limit", str(item.amount)),
        ("RateLimit-Remaining", str(max(0, left))),
        ("RateLimit-Reset", str(seconds)),
    ]


def _items(config: Mapping[str, Any], call: str, what: str) -> list[RateLimitItem]:
    return _parsed(_setting(config, call, what))


@functools.cache
def _parsed(limits: str) -> list[RateLimitItem]:
    return sorted(parse_many(limits))


def _scope(call: str, what: str) -> str:
    return f"{call} {what.lower()}"


def _of(call: str, what: str) -> Callable[[], str]:
    return lambda: _setting(current_app.config, call, what)


def _setting(config: Mapping[str, Any], call: str, what: str) -> str:
    return str(config["LIMITS"][f"RATELIMIT_{call}_PER_{what}"])


def _named(body: dict[str, Any]) -> str | None:
    """Whose call it is: the caller's, or that of the address in the body; not in the clear."""
    email = g.caller.profile.email if "caller" in g else body.get("email")
    return account_of(email) if email else None


def account_of(email: str) -> str:
    """What counts as one account, whoever calls: its address, not in the clear."""
    return hashlib.sha256(email.encode()).hexdigest()


def _is_nobodys() -> bool:
    return g.limited_account is None


def network_of(client: str | None) -> str:
    """What counts as one address."""
    text = PORT.sub(r"\1\2", client or "127.0.0.1")  # as Flask-Limiter's get_remote_address
    try:
        address = ipaddress.ip_address(text)
    except ValueError:  # a router may put anything there
        return text
    if address.version == 6 and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, NETWORK_BITS), strict=False))
    return str(address)
