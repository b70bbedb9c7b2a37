"""The application with calls that fail, as mistakes of ours would; served by the tests."""

import logging
import threading
from typing import Any

import structlog
from sqlalchemy import text

from melon_api import create_app
from melon_api.auth.guard import signed_in
from melon_api.errors import Unavailable
from melon_api.models.base import db
from melon_api.web.body.reading import json_body
from melon_api.web.request import API

app = create_app()


@app.post(f"{API}/fail/<how>")
@signed_in()
def fail(how: str) -> dict[str, Any]:
    body = json_body()
    secret, email = body["password"], body["email"]
    return {"answer": FAILURES[how](secret, email)}


def crash(secret: str, email: str) -> None:
    local = f"{secret} of {email}"
    try:
        raise KeyError(local)
    except KeyError as error:
        raise RuntimeError(f"cannot use {local}") from error


def write_twice(_secret: str, email: str) -> None:
    """The driver's message quotes the address."""
    copy = "INSERT INTO users SELECT * FROM users WHERE email = :email"
    db.session.execute(text(copy), {"email": email})


def be_away(secret: str, _email: str) -> None:
    raise Unavailable(f"not now, {secret}")


def log_an_error(secret: str, email: str) -> None:
    logging.getLogger("melon_api.mail").error("cannot write to %s with %s", email, secret)


def log_of_a_library(secret: str, email: str) -> None:
    logging.getLogger("some.library").error(f"cannot write to {email} with {secret}")


def log_of_structlog(secret: str, email: str) -> None:
    structlog.get_logger("melon_api.audit").error("not written", to=email, token=secret)


def crash_elsewhere(secret: str, email: str) -> None:
    thread = threading.Thread(target=crash, args=[secret, email])
    thread.start()
    thread.join()


FAILURES = {
    "crash": crash,
    "database": write_twice,
    "away": be_away,
    "log": log_an_error,
    "library": log_of_a_library,
    "structlog": log_of_structlog,
    "thread": crash_elsewhere,
}
_served = app.wsgi_app


def in_front(environ: dict[str, Any], start_response: Any) -> Any:
    """A mistake in front of Flask, where gunicorn alone sees it."""
    if environ["PATH_INFO"] == "/in-front":
        raise RuntimeError(f"cannot use {environ['QUERY_STRING']}")
    return _served(environ, start_response)


app.wsgi_app = in_front  # type: ignore[method-assign]
