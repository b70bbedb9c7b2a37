"""How often a call may be made, for each client address and each account.

Counted in Redis; while it is away, in each process's memory (Flask-Limiter's fallback). The numbers
are settings, see `LIMITS` in config.py.
"""

import hashlib
import ipaddress
import math
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from flask import Flask, Response, current_app, g
from flask_limiter.util import get_remote_address

from melon_api.errors import RETRY_AFTER_SECONDS
from melon_api.extensions import limiter

R = TypeVar("R")
NETWORK_BITS = 64  # of an IPv6 address: what one customer is given, and may roam in


def init_app(app: Flask) -> None:
    """Register before the limiter is bound: of two, the hook registered first runs last."""
    app.after_request(honest_headers)


def limited(call: str) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Limit a call by `RATELIMIT_<CALL>_PER_ADDRESS` and `…_PER_ACCOUNT`; 429 `rate_limited`.

    Views of the same call count together: it is one, by whichever way it is made.

    Stands next to the view: behind `signed_in`, whose caller is the account, or behind the body,
    whose `email` is.
    """

    def decorate(view: Callable[..., R]) -> Callable[..., R]:
        counted = limiter.shared_limit(
            _of(call, "ACCOUNT"),
            scope=f"{call}.account",
            key_func=lambda: g.limited_account,
            exempt_when=_is_nobodys,
        )(view)
        counted = limiter.shared_limit(
            _of(call, "ADDRESS"), scope=f"{call}.address", key_func=_network
        )(counted)

        @wraps(view)
        def checked(*args: Any, **kwargs: Any) -> R:
            g.limited_account = _named(args)
            return counted(*args, **kwargs)

        return checked

    return decorate


def honest_headers(response: Response) -> Response:
    """`RateLimit-Reset` in seconds from now; `Retry-After` only where the client must wait."""
    limit = limiter.current_limit
    if limit is not None and (reset := response.headers.get("RateLimit-Reset")):
        window = limit.limit.get_expiry()
        wait = min(window, max(1, math.ceil(float(reset) - time.time())))
        response.headers["RateLimit-Reset"] = str(wait)
        if response.status_code == 429:
            response.headers["Retry-After"] = str(wait)
        elif response.status_code == 503:  # over sooner than any limit
            response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        else:
            response.headers.pop("Retry-After", None)
    return response


def _of(call: str, what: str) -> Callable[[], str]:
    name = f"RATELIMIT_{call}_PER_{what}"
    return lambda: str(current_app.config["LIMITS"][name])


def _named(args: tuple[Any, ...]) -> str | None:
    """Whose call it is: the caller's, or that of the address in the body; not in the clear."""
    if "caller" in g:
        return str(g.caller.user_id)
    email = next((body.get("email") for body in args if isinstance(body, dict)), None)
    return hashlib.sha256(email.encode()).hexdigest() if email else None


def _is_nobodys() -> bool:
    return g.limited_account is None


def _network() -> str:
    text = get_remote_address()
    try:
        address = ipaddress.ip_address(text)
    except ValueError:  # a router may put anything there
        return text
    if address.version == 6 and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, NETWORK_BITS), strict=False))
    return str(address)
