"""What `/docs` says of the whole: prose, headers, tokens, and the calls at the root. Data alone."""

from typing import Any

from melon_api.web.openapi.call import TEXT, Call, Example, Problem

ABOUT = """\
A sync backend for WatermelonDB apps: accounts, devices, pull and push.

**Try it here**: `POST /auth/register`, copy the answer's `access_token`, *Authorize* with it as
`accessToken`; `refreshToken` is for `POST /auth/refresh` alone. The page forgets both when it is
reloaded.

- Bodies are JSON in UTF-8, plain or with `Content-Encoding: gzip`, at most 64 KiB unpacked,
under `/sync` 32 MiB (a setting). There any `text/plain` or untyped body is read as JSON, too.
- Answers are compressed for those who accept gzip, and carry `Cache-Control: no-store`.
- Every answer has an `X-Request-ID`: the caller's own, or a new one; the log's lines have it, too.
- Every error is `application/problem+json` (RFC 9457) with a stable `code`; the schema `Problem`
has one of each, and its `Link` leads to [what it means](/docs/errors). An unknown address is 404
`not_found`, another method 405 `method_not_allowed` with `Allow`."""
SERVICE = "Service"
TAGS = {
    "Accounts": "Sign up, in and out; passwords and addresses.",
    "User": "The caller's own account.",
    "Sync": "Pull and push, as WatermelonDB's `synchronize()` calls them.",
    SERVICE: "For the platform that runs the server.",
}
DOCUMENT: dict[str, Any] = {
    "info": {"description": ABOUT, "license": {"name": "MIT", "identifier": "MIT"}},
    "servers": [{"url": "/", "description": "This server, whatever its name"}],
}


def _token(description: str, **more: str) -> dict[str, str]:
    return {"type": "http", "scheme": "bearer", "description": description, **more}


SCHEMES = {
    "accessToken": _token(
        "The `access_token` of a sign-in: 15 minutes, or until its session ends.",
        bearerFormat="JWT",
    ),
    "refreshToken": _token(
        "The `refresh_token` of a sign-in: 7 days from its last use.", bearerFormat="JWT"
    ),
    "metricsToken": _token("The setting METRICS_TOKEN, where it is set."),
}
REQUEST_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


def _header(description: str, example: Any, *, always: bool = False, **schema: Any) -> Any:
    required = {"required": True} if always else {}
    kind = "integer" if isinstance(example, int) else "string"
    schema = {"type": kind, **schema}
    return {"description": description, **required, "schema": schema, "example": example}


HEADERS = {
    "X-Request-ID": _header(
        "The request's name in the logs: the caller's own `X-Request-ID` (8 to 64 of `A-Z a-z 0-9 "
        "_ . -`), or a new one.",
        REQUEST_ID,
        always=True,
        pattern="^[A-Za-z0-9_.-]{8,64}$",
    ),
    "Link": _header(
        "What the `code` means, and what to do about it.",
        '</docs/errors#token_expired>; rel="help"',
        always=True,
    ),
    "WWW-Authenticate": _header(
        "The scheme, and why the token is not good (RFC 6750 §3).",
        'Bearer realm="melon", error="invalid_token"',
        always=True,
    ),
    "Retry-After": _header("Seconds to wait.", 5, always=True, minimum=1),
    "RateLimit-Limit": _header("Calls in a period, where limits are counted.", 300),
    "RateLimit-Remaining": _header("How many are left of them.", 299),
    "RateLimit-Reset": _header("Seconds to the period's end.", 60),
}


def _oks(*names: str) -> dict[str, Any]:
    """`ok` under each of these names, the first of which is always there."""
    properties = {name: {"type": "string", "const": "ok"} for name in names}
    whole = {"type": "object", "properties": properties, "additionalProperties": False}
    return whole | {"required": [names[0]]}


CALLS = {
    "healthz": Call(gives=_oks("status"), answers={"up": Example("Up", {"status": "ok"})}),
    "readyz": Call(
        gives=_oks("database", "redis"),
        answers={"ready": Example("Ready", {"database": "ok", "redis": "ok"})},
        problems={
            "unavailable": Problem(
                errors={"redis": ["does not answer"]}, detail="No answer from: redis."
            )
        },
    ),
    "metrics": Call(
        gives={"type": "string"},
        media=TEXT,
        security=[{"metricsToken": []}, {}],
        problems={
            "token_missing": Problem(
                detail="Send the header Authorization: Bearer <METRICS_TOKEN>."
            ),
            "token_invalid": Problem(detail="This is not the METRICS_TOKEN."),
            "not_found": Problem(detail="METRICS_TOKEN is not set on this server."),
        },
    ),
    "openapi": Call(gives={"type": "object"}),
}
