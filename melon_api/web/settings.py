"""What every request passes: who may call from a browser, how much, how often, through which
proxies."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from limits import parse_many

from environ import Setting, Settings, flag, listed, number

MEBIBYTE = 1024 * 1024


def _origins(origins: list[str]) -> list[str]:
    form = r"[a-z][a-z0-9+.-]*://[^/*]+"
    wrong = [origin for origin in origins if origin != "*" and not re.fullmatch(form, origin)]
    if wrong:
        raise ValueError(*(f"{origin!r} is no origin (https://host)" for origin in wrong))
    return origins


class WebSettings(Settings):
    DEMO_FOLDER: ClassVar[Path | None] = None  # no setting: nothing can turn it on elsewhere

    CORS_ORIGINS: list[str] = listed(
        _origins,
        "web apps that may call, with commas between",
        default="*",
        deployed="",
        shown="`*`; none in staging and production",
        is_blank_said=True,
    )
    MAX_CONTENT_LENGTH: int = number(
        "largest request under `/sync`, unpacked", 32, unit=MEBIBYTE, name="MAX_BODY_MIB"
    )
    TRUSTED_PROXIES: int = number(
        "routers before the server whose `X-Forwarded-For` counts",
        0,
        least=0,
        deployed="1",  # the platform's router
    )

    API_TITLE = "Melon API"
    API_VERSION = "v1"
    OPENAPI_VERSION = "3.1.0"
    OPENAPI_URL_PREFIX = "/"
    OPENAPI_JSON_PATH = "openapi.json"

    COMPRESS_ALGORITHM: ClassVar[list[str]] = ["gzip"]
    COMPRESS_ALGORITHM_STREAMING: ClassVar[list[str]] = ["gzip"]
    COMPRESS_LEVEL = 4
    COMPRESS_MIMETYPES: ClassVar[list[str]] = ["application/json", "application/problem+json"]


def _limits(value: str) -> str:
    try:
        is_limit = all(limit.amount for limit in parse_many(value))
    except ValueError:
        is_limit = False
    if not is_limit:
        raise ValueError(f"{value!r} is no limit (10/minute;100/hour)")
    return value


def _limit(default: str, line: str) -> str:
    return Setting(parse=_limits, line=line, default=default)  # type: ignore[return-value]


def _per_address(default: str, what: str) -> str:
    """Generous: a school or a mobile network is behind one."""
    return _limit(default, f"{what}, from one client address")


def _per_account(default: str, what: str) -> str:
    return _limit(default, f"{what}, for one account")


SIGN_INS = "sign-ins, and each call that takes a password, a proof or what was mailed"


class LimitSettings(Settings):
    RATELIMIT_ENABLED: bool = flag("limits on how often calls are made", deployed="true")
    RATELIMIT_LOGIN_PER_ADDRESS = _per_address("30/minute", SIGN_INS)
    RATELIMIT_LOGIN_PER_ACCOUNT = _per_account("10/minute;100/hour", SIGN_INS)
    RATELIMIT_REGISTER_PER_ADDRESS = _per_address("30/minute", "registrations")
    RATELIMIT_REGISTER_PER_ACCOUNT = _per_account("10/hour", "registrations")
    RATELIMIT_FORGOT_PER_ADDRESS = _per_address("30/minute", "mails that somebody asks for")
    RATELIMIT_FORGOT_PER_ACCOUNT = _limit(
        "5/hour", "mails to one recipient, by whichever call, and mails that one account asks for"
    )
    RATELIMIT_CODE_PER_ADDRESS = _per_address("30/minute", "codes by mail")
    RATELIMIT_CODE_PER_ACCOUNT = _limit("20/day", "codes by mail, to one recipient")
    RATELIMIT_GUEST_PER_ADDRESS = _per_address("60/hour", "new guests")
    RATELIMIT_REFRESH_PER_ADDRESS = _per_address("600/minute", "refreshes")
    RATELIMIT_REFRESH_PER_ACCOUNT = _per_account("60/minute", "refreshes")
    RATELIMIT_PULL_PER_ADDRESS = _per_address("6000/minute", "pulls")
    RATELIMIT_PULL_PER_ACCOUNT = _per_account("300/minute", "pulls")
    RATELIMIT_PUSH_PER_ADDRESS = _per_address("6000/minute", "pushes")
    RATELIMIT_PUSH_PER_ACCOUNT = _per_account("300/minute", "pushes")
    RATELIMIT_SPACES_PER_ADDRESS = _per_address("1200/minute", "calls of `/spaces`")
    RATELIMIT_SPACES_PER_ACCOUNT = _per_account("120/minute", "calls of `/spaces`")
    RATELIMIT_INVITE_PER_ADDRESS = _per_address("300/hour", "invitations by mail")
    RATELIMIT_INVITE_PER_ACCOUNT = _per_account("50/hour", "invitations by mail")

    RATELIMIT_STRATEGY = "fixed-window"
    RATELIMIT_FAIL_ON_FIRST_BREACH = False  # Retry-After is that of the longest one
    RATELIMIT_HEADERS_ENABLED = False  # limits.py writes them

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(environ)
        self.LIMITS = {name: str(getattr(self, name)) for name in LIMITS}


LIMITS = [declared.name for declared in LimitSettings.declared() if "_PER_" in declared.name]
