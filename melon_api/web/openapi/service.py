"""What `/docs` says of the whole, and of the calls at the root."""

from typing import Any

from apispec import APISpec
from flask import Flask

from melon_api.web.openapi.calls import Call, Example, Guards, operation
from melon_api.web.openapi.problems import Problem

TEXT = """\
A sync backend for WatermelonDB apps: accounts, devices, pull and push.

**Try it here**: `POST /auth/register`, copy the answer's `access_token`, *Authorize* with it as
`accessToken`; `refreshToken` is for `POST /auth/refresh` alone. The page forgets both when it is
reloaded.

- Bodies are JSON in UTF-8, plain or with `Content-Encoding: gzip`, at most 32 MiB unpacked (a
setting). Under `/sync` any `text/plain` or untyped body is read as JSON, too.
- Answers are compressed for those who accept gzip, and carry `Cache-Control: no-store`.
- Every answer has an `X-Request-ID`: the caller's own, or a new one; the log's lines have it, too.
- Every error is `application/problem+json` (RFC 9457) with a stable `code`; the schema `Problem`
has one of each. An unknown address is 404 `not_found`, another method 405 `method_not_allowed`
with `Allow`."""
ACCESS = "The `access_token` of a sign-in: 15 minutes, or until its session ends."
REFRESH = "The `refresh_token` of a sign-in: 7 days from its last use."
METRICS = "The setting METRICS_TOKEN, where it is set."
SCHEMES = {
    "accessToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": ACCESS,
    },
    "refreshToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": REFRESH,
    },
    "metricsToken": {"type": "http", "scheme": "bearer", "description": METRICS},
}
TAGS = {
    "Accounts": "Sign up, in and out; passwords and addresses.",
    "User": "The caller's own account.",
    "Sync": "Pull and push, as WatermelonDB's `synchronize()` calls them.",
    "Service": "For the platform that runs the server.",
}
DOCUMENT: dict[str, Any] = {
    "info": {
        "description": TEXT,
        "license": {"name": "MIT", "identifier": "MIT"},
    },
    "servers": [{"url": "/", "description": "This server, whatever its name"}],
    "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
}
OK = {"type": "string", "const": "ok"}
HEALTH = {
    "type": "object",
    "properties": {"status": OK},
    "required": ["status"],
    "additionalProperties": False,
}
READINESS = {
    "type": "object",
    "properties": {"database": OK, "redis": OK},
    "required": ["database"],
    "additionalProperties": False,
}
CALLS = {
    "/healthz": Call(
        "healthz",
        "The process is up.",
        answers={"up": Example("Up", {"status": "ok"})},
    ),
    "/readyz": Call(
        "readyz",
        "The database and, where there is one, Redis answer, and the process is not about to stop. "
        "503 names what is in the way.",
        answers={"ready": Example("Ready", {"database": "ok", "redis": "ok"})},
        problems={"unavailable": Problem("No answer from: redis.", {"redis": ["does not answer"]})},
    ),
    "/metrics": Call(
        "metrics",
        "Counts and times for Prometheus, of all workers of this host. In staging and production "
        "it wants the bearer METRICS_TOKEN; without that setting it is 404 there.",
        problems={
            "token_missing": Problem("Send the header Authorization: Bearer <METRICS_TOKEN>."),
            "token_invalid": Problem("This is not the METRICS_TOKEN."),
            "not_found": Problem("METRICS_TOKEN is not set on this server."),
        },
    ),
    "/openapi.json": Call("openapi", "This description. `GET /docs` is a page of it."),
}
SUMMARIES = {
    "/healthz": ("Is the process up?", "application/json", HEALTH),
    "/readyz": ("Can it serve?", "application/json", READINESS),
    "/metrics": ("Counts for Prometheus", "text/plain", {"type": "string"}),
    "/openapi.json": ("This description", "application/json", {"type": "object"}),
}


def add_service(spec: APISpec, app: Flask) -> None:
    """Describe the calls at the root, which are no blueprint's."""
    rules = {rule.rule: rule for rule in app.url_map.iter_rules()}
    for path, call in CALLS.items():
        summary, media, schema = SUMMARIES[path]
        answer = {"description": "OK", "content": {media: {"schema": schema}}}
        doc = {"summary": summary, "tags": ["Service"], "responses": {200: answer}}
        doc = operation(doc, call, Guards(speaks_json=False))
        if path == "/metrics":
            doc["security"] = [{"metricsToken": []}, {}]
        spec.path(rule=rules[path], operations={"get": doc}, parameters=[])
