"""Contract, "Errors" and the base path: every answer's form, whatever went wrong."""

import gzip
import logging
import re
import secrets
from pathlib import Path
from typing import Any

import orjson
import pytest
from conftest import environment, make_app
from devices import API, PASSWORD, Account, created, new_id, project
from flask import Flask
from sqlalchemy.engine import RootTransaction
from sqlalchemy.exc import IntegrityError, OperationalError

import config
from melon_api import errors
from melon_api.sync import pull as pulls
from melon_api.web import problems
from melon_api.web.body.unpacking import gunzip
from melon_api.web.limits import limiter

PACKAGE = Path(errors.__file__).parent
NOT_JSON = [b"", b"{", b"{'a': 1}", b'{"a": NaN}', b"\xff", b'"\\ud800']
NOT_JSON.append(b'{"a": 1e999, "b": "\\ud83d"}')
CHARSET = "text/plain, application/json; charset=utf-8"


def failure(answer: Any) -> tuple[int, str]:
    body = answer.json
    assert answer.content_type == "application/problem+json"
    assert body["status"] == answer.status_code
    assert body["type"] == "about:blank"
    assert body["title"] and body["detail"]
    assert body["request_id"] == answer.headers["X-Request-ID"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert ("errors" in body) == (answer.status_code == 422) or answer.status_code == 409
    return answer.status_code, body["code"]


@pytest.fixture
def phone(plain_app: Flask) -> Any:
    return Account(plain_app).first


def test_unknown_urls_and_methods(phone: Any) -> None:
    """Contract, Errors 1 and Requests 5."""
    client = phone.http
    assert failure(client.get("/nowhere")) == (404, "not_found")
    assert failure(client.get(f"{API}/nowhere")) == (404, "not_found")
    answer = client.get(f"{API}/auth/login")
    assert failure(answer) == (405, "method_not_allowed")
    assert "POST" in answer.headers["Allow"]


@pytest.mark.parametrize("path", ["/auth/register", "/auth/login"])
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"{'a': 1}", b'{"a": NaN}', b"\xff", b'"\\ud800', b'{"a": 1e999, "b": "\\ud83d"}'],
)
def test_what_is_not_json(phone: Any, path: str, body: bytes) -> None:
    """Contract, Errors 1."""
    answer = phone.http.post(API + path, data=body, content_type="application/json")
    assert failure(answer) == (400, "malformed_json")
    answer = phone.call("POST", "/sync/push", data=body, content_type="application/json")
    assert failure(answer) == (400, "malformed_json")


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"7", b"null", b"true"])
def test_json_that_is_no_object(phone: Any, body: bytes) -> None:
    for path in ("/auth/login", "/sync/pull", "/sync/push", "/sync/push?last_pulled_at=1"):
        answer = phone.call("POST", path, data=body, content_type="application/json")
        assert failure(answer) == (422, "validation_failed")


@pytest.mark.parametrize("kind", ["text/plain", "text/plain; charset=utf-8", ""])
def test_sync_takes_plain_text_and_no_type_and_the_rest_does_not(phone: Any, kind: str) -> None:
    """Contract, Requests 1: the docs' `fetch` sends no better type."""
    body = orjson.dumps({"changes": {}})
    headers = {"Content-Type": kind} if kind else {}
    assert phone.call("POST", "/sync/push", data=body, headers=headers).status_code == 200
    assert phone.call("POST", "/sync/pull", data=b"{}", headers=headers).status_code == 200
    answer = phone.http.post(f"{API}/auth/login", data=body, headers=headers)
    assert failure(answer) == (415, "unsupported_media_type")


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/html", "image/png"])
def test_other_types_are_refused(phone: Any, kind: str) -> None:
    """Contract, Requests 1."""
    for path in ("/auth/login", "/sync/pull", "/sync/push"):
        answer = phone.call("POST", path, data=b"{}", content_type=kind)
        assert failure(answer) == (415, "unsupported_media_type")


def test_a_gzipped_push_is_taken(phone: Any) -> None:
    """Contract, Requests 2."""
    body = gzip.compress(orjson.dumps({"changes": {"projects": created(project(id="x"))}}))
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    assert phone.call("POST", "/sync/push", data=body, headers=headers).status_code == 200
    assert list(phone.records("projects")) == ["x"]
    body = gzip.compress(orjson.dumps({"email": "a@example.com", "password": "x"}))
    assert phone.http.post(f"{API}/auth/login", data=body, headers=headers).status_code == 401


@pytest.mark.parametrize(
    "body", [b"{}", gzip.compress(b"{}" * 999, mtime=0)[:-9], gzip.compress(b"", mtime=0) + b"x"]
)
def test_broken_gzip_is_a_bad_request(phone: Any, body: bytes) -> None:
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    answer = phone.call("POST", "/sync/push", data=body, headers=headers)
    assert failure(answer) == (400, "bad_request")


def test_another_content_encoding_is_refused(phone: Any) -> None:
    headers = {"Content-Encoding": "br", "Content-Type": "application/json"}
    answer = phone.call("POST", "/sync/push", data=b"{}", headers=headers)
    assert failure(answer) == (415, "unsupported_media_type")


def test_bodies_are_bounded_packed_and_unpacked(phone: Any, monkeypatch: Any) -> None:
    """Contract, Requests 3."""
    monkeypatch.setitem(phone.http.application.config, "MAX_CONTENT_LENGTH", 1000)
    answer = phone.call("POST", "/sync/push", data=b" " * 1001, content_type="application/json")
    assert failure(answer) == (413, "payload_too_large")
    bomb = gzip.compress(b" " * 900_000)
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    answer = phone.call("POST", "/sync/push", data=bomb, headers=headers)
    assert failure(answer) == (413, "payload_too_large")


def test_unpacking_stops_at_the_limit() -> None:
    packed = gzip.compress(b"a" * 20)
    assert gunzip(packed, 20) == b"a" * 20
    with pytest.raises(errors.PayloadTooLarge):
        gunzip(packed, 19)
    with pytest.raises(errors.BadRequest):
        gunzip(packed + packed, 100)


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "application/json;q=0"])
def test_a_client_that_takes_no_json(phone: Any, accept: str) -> None:
    answer = phone.call("GET", "/users/me", headers={"Accept": accept})
    assert failure(answer) == (406, "not_acceptable")


@pytest.mark.parametrize("accept", ["*/*", "application/*", CHARSET, ";;;", ""])
def test_a_client_that_takes_json(phone: Any, accept: str) -> None:
    assert phone.call("GET", "/users/me", headers={"Accept": accept}).status_code == 200


def test_answers_are_compressed_for_those_who_ask(phone: Any) -> None:
    """Contract, Requests 2."""
    phone.push(projects=created(*(project() for _ in range(50))))
    plain = phone.call("POST", "/sync/pull", json={})
    assert "Content-Encoding" not in plain.headers
    packed = phone.call("POST", "/sync/pull", json={}, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert gzip.decompress(packed.data) == plain.data


def test_an_unknown_url_is_not_found_whatever_is_accepted(phone: Any) -> None:
    answer = phone.call("GET", "/nowhere", headers={"Accept": "text/html"})
    assert failure(answer) == (404, "not_found")


def test_a_byte_order_mark_is_passed_over(phone: Any) -> None:
    body = b"\xef\xbb\xbf{}"
    answer = phone.call("POST", "/sync/pull", data=body, content_type="application/json")
    assert answer.status_code == 200


def test_a_database_error_does_not_log_what_people_wrote(
    phone: Any, monkeypatch: Any, caplog: Any
) -> None:
    written = new_id()  # not in this file, whose lines a traceback shows

    def fail(*_: object) -> None:
        raise IntegrityError("INSERT", {"x": written}, Exception(1062, f"Duplicate {written}"))

    monkeypatch.setattr(pulls, "pull", fail)
    assert failure(phone.ask_pull(None)) == (500, "internal_error")
    assert "IntegrityError 1062" in caplog.text
    assert written not in caplog.text


def test_a_log_line_cannot_be_forged(phone: Any, caplog: Any) -> None:
    with caplog.at_level("INFO", "melon_api"):
        phone.http.get("/x%0aERROR forged")
    (record,) = (r for r in caplog.records if "/x" in r.getMessage())
    assert "\n" not in record.getMessage()


def test_a_crash_is_logged_and_says_nothing(phone: Any, monkeypatch: Any, caplog: Any) -> None:
    """Contract, Errors 1."""

    def crash(*_: object) -> None:
        raise RuntimeError("the secret recipe")

    monkeypatch.setattr(pulls, "pull", crash)
    answer = phone.ask_pull(None)
    assert failure(answer) == (500, "internal_error")
    assert "recipe" not in answer.text
    assert "the secret recipe" in caplog.text


@pytest.mark.parametrize("reason", [(2003, "no"), (1213, "deadlock"), ("database is locked",)])
def test_a_database_that_is_away_is_unavailable(
    phone: Any, monkeypatch: Any, reason: tuple[Any, ...]
) -> None:
    """Contract, Errors 6."""

    def fail(*_: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception(*reason))

    monkeypatch.setattr(pulls, "pull", fail)
    answer = phone.ask_pull(None)
    assert answer.status_code == 503
    assert answer.json["code"] == "unavailable"
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize("is_committed", [True, False])
def test_a_commit_without_an_answer_is_looked_up(
    app: Flask, monkeypatch: Any, is_committed: bool
) -> None:
    """Contract push 1: an error answer means that nothing was stored, and only then comes one."""
    phone = Account(app).first
    commit, rollback = RootTransaction.commit, RootTransaction.rollback

    def broken(self: RootTransaction) -> None:
        (commit if is_committed else rollback)(self)
        raise OperationalError("COMMIT", {}, Exception(2013, "lost"), connection_invalidated=True)

    monkeypatch.setattr(RootTransaction, "commit", broken)
    answer = phone.ask_push({"projects": created(home := project())})
    monkeypatch.undo()
    if is_committed:
        assert answer.json == {"timestamp": phone.ask_pull(None).json["timestamp"]}
        assert list(phone.records("projects")) == [home["id"]]
    else:
        assert failure(answer) == (503, "unavailable")
        assert phone.records("projects") == {}
    assert phone.ask_push({"projects": created(home)}).status_code == 200


def test_a_registration_without_an_answer_promises_nothing(app: Flask, monkeypatch: Any) -> None:
    """Contract, Errors 6: 503 would say that nothing was applied."""
    commit = RootTransaction.commit

    def broken(self: RootTransaction) -> None:
        commit(self)
        raise OperationalError("COMMIT", {}, Exception(2013, "lost"), connection_invalidated=True)

    body = {"email": f"{new_id()}@example.com", "password": PASSWORD}
    monkeypatch.setattr(RootTransaction, "commit", broken)
    answer = app.test_client().post(f"{API}/auth/register", json=body)
    monkeypatch.undo()
    assert failure(answer) == (500, "internal_error")
    assert app.test_client().post(f"{API}/auth/login", json=body).status_code == 200


def test_a_request_id_is_taken_over_or_made(phone: Any) -> None:
    """Contract, Errors 3."""
    given = phone.http.get("/healthz", headers={"X-Request-ID": "abc-123_456.7"})
    assert given.headers["X-Request-ID"] == "abc-123_456.7"
    for bad in ("short", "x" * 65, "with space", "<script>", ""):
        made = phone.http.get("/healthz", headers={"X-Request-ID": bad}).headers["X-Request-ID"]
        assert made != bad
        assert len(made) == 32


@pytest.mark.parametrize("is_json", [False, True])
def test_every_line_of_a_request_carries_its_id(
    is_json: bool, tmp_path: Path, monkeypatch: Any
) -> None:
    """Contract, Errors 3: short on a laptop, and as staging and production log."""
    monkeypatch.setattr(config.Testing, "LOGS_ARE_JSON", is_json)
    app = make_app(environment("sqlite", f"sqlite:///{tmp_path}/logs.db"), tmp_path)
    handler = next(h for h in logging.getLogger().handlers if type(h) is logging.StreamHandler)
    lines: list[str] = []
    handler.setStream(type("Sink", (), {"write": lines.append, "flush": lambda _: None})())  # type: ignore[arg-type]
    phone = Account(app).first
    lines.clear()
    phone.call("GET", "/users/me", headers={"X-Request-ID": "request-0001"})
    told = [line for line in lines if line.strip()]
    assert any("users/me" in line for line in told)
    wanted = '"request_id":"request-0001"' if is_json else "request_id=request-0001"
    assert all(wanted in line.replace('": "', '":"') for line in told)
    assert PASSWORD not in "".join(lines)


@pytest.mark.parametrize("backend", ["sqlite", "sqlite+redis"])
def test_rate_limits_answer_with_a_time(backend: str, tmp_path: Path, monkeypatch: Any) -> None:
    """Contract, Errors 5: 429 always has Retry-After."""
    monkeypatch.setattr(limiter, "enabled", limiter.enabled)  # one for all applications: put back
    url = f"sqlite:///{tmp_path}/limited.db"
    limits = {"RATELIMIT_ENABLED": "true", "TRUSTED_PROXIES": "1"}
    client = make_app(environment(backend, url, **limits), tmp_path).test_client()
    # Redis remembers the last run's
    body = {"email": f"{new_id()}@example.com", "password": "x"}
    headers = {"X-Forwarded-For": f"2001:db8:{secrets.token_hex(2)}::1"}
    path = f"{API}/auth/login"
    answers = [client.post(path, json=body, headers=headers) for _ in range(61)]
    assert failure(answers[0]) == (401, "invalid_credentials")
    assert failure(answers[-1]) == (429, "rate_limited")
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 60


def test_limits_count_the_client_behind_the_router(tmp_path: Path, monkeypatch: Any) -> None:
    """One person's limit is not everybody's; a forged hop before the router's is ignored."""
    monkeypatch.setattr(limiter, "enabled", limiter.enabled)
    url = f"sqlite:///{tmp_path}/limited.db"
    settings = {"RATELIMIT_ENABLED": "true", "TRUSTED_PROXIES": "1"}
    client = make_app(environment("sqlite", url, **settings), tmp_path).test_client()

    def login(forwarded: str) -> int:
        headers = {"X-Forwarded-For": forwarded}
        body = {"email": f"{new_id()}@example.com", "password": "x"}
        return client.post(f"{API}/auth/login", json=body, headers=headers).status_code

    assert {login(f"203.0.113.{n}") for n in range(35)} == {401}
    assert {login(f"198.51.100.{n}, 203.0.113.99") for n in range(30)} == {401}
    assert login("198.51.100.200, 203.0.113.99") == 429


def test_every_error_is_raised_somewhere() -> None:
    """By its class; or Werkzeug raises one of its status, which becomes it."""
    code = "".join(p.read_text() for p in PACKAGE.rglob("*.py") if p.name != "errors.py")
    by_status = {problems.of_status(405), problems.of_status(429)}
    assert by_status == {errors.MethodNotAllowed, errors.RateLimited}
    kinds = [kind for kind in problems.by_code().values() if kind not in by_status]
    assert not [kind for kind in kinds if not re.search(rf"\b{kind.__name__}\b(?!,?\n)", code)]


def test_an_error_without_words_says_its_example() -> None:
    assert errors.TokenExpired().detail == errors.TokenExpired.example.detail
    assert errors.ValidationFailed({"a": ["b"]}).detail == "Some of it is not valid."
    assert errors.TokenExpired("Now.").detail == str(errors.TokenExpired("Now.")) == "Now."


@pytest.mark.parametrize(
    ("status", "code"), [(400, "bad_request"), (418, "bad_request"), (502, "internal_error")]
)
def test_what_has_a_status_only_becomes_an_error_of_the_table(status: int, code: str) -> None:
    """Contract, Errors 1."""
    kind = problems.of_status(status)
    body = problems.as_problem(kind, errors.Example("It is so."), "name", status)
    assert (body["status"], body["code"], body["detail"]) == (status, code, "It is so.")
