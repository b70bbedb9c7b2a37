"""`/openapi.json` is true: its examples are sent, every error it names is brought about, no other
one comes."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import environment, make_app
from described import (
    CALLS,
    CASES,
    PROVOCATIONS,
    Operation,
    World,
    misfits,
    numberless,
    of_now,
    operations,
    shape,
    timeless,
    told,
)
from flask import Flask

import config as settings
from melon_api import create_app
from melon_api.models.base import db
from melon_api.web.limits import limiter
from melon_api.web.problems import by_code
from melon_api.web.request import API
from melon_api.web.settings import LIMITS

OPERATIONS = [
    "register login refresh logout logoutAll listSessions endSession forgotPassword resetPassword",
    "guest requestCode signInWithCode signInWithProvider linkIdentity unlinkIdentity upgrade",
    "verifyEmail resendVerification getMe updateMe deleteMe changePassword exportMe",
    "listSpaces createSpace renameSpace deleteSpace listMembers setRole removeMember",
    "invite listInvitations revokeInvitation joinSpace",
    "pull pullByQuery push verify",
]
API_CALLS = " ".join(OPERATIONS).split()
SERVICE_CALLS = ["healthz", "readyz", "metrics", "openapi"]
# What they do is done behind the answer, or before the body is looked at.
NEVER_FAIL = {"forgotPassword", "requestCode"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("described")


@pytest.fixture(scope="module")
def app(folder: Path, broken: dict[str, Flask]) -> Iterator[Flask]:
    """Which allows one call of each kind, while limits are on. The last one made: Flask-Limiter's
    are those of the last application."""
    was_enabled = limiter.enabled  # one for all applications: put back
    limits = {f"RATELIMIT_{name}": "1/hour" for name in limit_names()} | {
        "RATELIMIT_ENABLED": "true"
    }
    app = make_app(environment("sqlite", f"sqlite:///{folder}/it.db", **limits), folder)
    yield app
    limiter.enabled = was_enabled
    with app.app_context():
        db.engine.dispose()


def limit_names() -> list[str]:
    return [name.removeprefix("RATELIMIT_") for name in LIMITS]


@pytest.fixture(scope="module")
def spec(app: Flask) -> dict[str, Any]:
    return dict(app.test_client().get("/openapi.json").json)


@pytest.fixture(scope="module")
def broken(folder: Path) -> dict[str, Flask]:
    """Servers with the same keys, by what is wrong with their database."""
    urls = {"internal_error": f"sqlite:///{folder}/empty.db"}
    urls["unavailable"] = f"sqlite:///{folder}/nowhere/it.db"
    return {
        code: create_app(settings.load(environment("sqlite", url), folder))
        for code, url in urls.items()
    }


@pytest.fixture
def operation(spec: dict[str, Any], request: pytest.FixtureRequest) -> Operation:
    (found,) = (o for o in operations(spec) if o.id == request.param)
    return found


@pytest.fixture
def world(app: Flask) -> World:
    return World(app)


def each(calls: list[str]) -> Any:
    return pytest.mark.parametrize("operation", calls, indirect=True)


def test_every_call_is_described(app: Flask, spec: dict[str, Any]) -> None:
    """Contract, Service 4: and the names that clients are generated with stay as they are."""
    assert [o.id for o in operations(spec)] and {o.id for o in operations(spec)} == {
        *API_CALLS,
        *SERVICE_CALLS,
    }
    described = {(o.path, o.method.upper()) for o in operations(spec)}
    routes = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method)
        for rule in app.url_map.iter_rules()
        if not rule.rule.startswith(("/docs", "/llms"))  # pages
        for method in (rule.methods or set()) - {"OPTIONS", "HEAD"}
    }
    assert described == routes


def test_every_code_has_an_example(spec: dict[str, Any]) -> None:
    examples = spec["components"]["schemas"]["Problem"]["examples"]
    assert [example["code"] for example in examples] == list(by_code())
    by_calls = {code for o in operations(spec) for code in o.codes}
    assert by_code().keys() - by_calls == {"method_not_allowed", "unknown_space"}  # no call's here


def test_every_code_is_brought_about() -> None:
    """By a request of tests/described.py, or by one of the tests below."""
    elsewhere = {"method_not_allowed", "internal_error", "unavailable", "unknown_space"}
    assert by_code().keys() - PROVOCATIONS.keys() == elsewhere


@each(API_CALLS)
def test_its_words_are_there(operation: Operation) -> None:
    assert operation.doc["summary"]
    assert len(operation.doc["description"]) > len(operation.doc["summary"])
    assert len(operation.doc["tags"]) == 1
    for status, answer in operation.doc["responses"].items():
        assert "X-Request-ID" in answer["headers"], status
        assert int(status) < 400 or set(told(answer)) == {
            code for code in told(answer) if by_code()[code].status == int(status)
        }


@each(API_CALLS)
def test_its_examples_succeed_and_are_answered_so(
    spec: dict[str, Any], operation: Operation, world: World
) -> None:
    requests = list(operation.call.requests.values()) or [None]
    for example in requests:
        world.begin(operation)
        kwargs = {} if example is None else {"json": of_now(example.value)}
        if example is not None and example.query:
            kwargs["query"] = dict(example.query)
        check(spec, operation, world.send(operation, **kwargs))


def check(spec: dict[str, Any], operation: Operation, answer: Any) -> None:
    """As it is described: status, headers, type, schema; and like one of the examples."""
    assert answer.status_code < 300, answer.text
    described = operation.doc["responses"][str(answer.status_code)]
    assert (
        not set(described["headers"])
        - set(answer.headers.keys())
        - {name for name in described["headers"] if name.startswith("RateLimit-")}
    )
    if "content" not in described:
        assert answer.status_code == 204 and not answer.data
        return
    content = described["content"][answer.mimetype]
    body = answer.json
    assert not misfits(spec, content["schema"], body)
    examples = [shape(timeless(e["value"])) for e in content["examples"].values()]
    assert shape(timeless(body)) in examples


@pytest.mark.parametrize(("operation", "code"), CASES, indirect=["operation"])
def test_its_errors_are_those_that_are_described(
    spec: dict[str, Any], operation: Operation, world: World, code: str
) -> None:
    """Contract, Errors 1 and 2: each call in each trouble. What is named comes as printed, what
    comes is named."""
    world.begin(operation, code)
    answer = PROVOCATIONS[code](world, operation)
    if code not in operation.codes:
        assert answer.status_code < 300 or answer.json["code"] in operation.codes, answer.text
        return
    assert answer.json["code"] == code, answer.text
    check_problem(spec, operation, answer)


def check_problem(spec: dict[str, Any], operation: Operation, answer: Any) -> None:
    described = operation.doc["responses"][str(answer.status_code)]
    content = described["content"][answer.content_type]
    assert not misfits(spec, content["schema"], answer.json)
    required = {n for n in described["headers"] if not n.startswith("RateLimit-")}
    assert required <= set(answer.headers.keys())
    printed = operation.problem(answer.json["code"])
    assert set(printed) == set(answer.json)
    said = answer.json | {"request_id": printed["request_id"]}
    assert numberless(json.dumps(said)) == numberless(json.dumps(printed))


@each(API_CALLS)
@pytest.mark.parametrize("code", ["internal_error", "unavailable"])
def test_its_outages_are_those_that_are_described(
    spec: dict[str, Any], broken: dict[str, Flask], operation: Operation, world: World, code: str
) -> None:
    """Contract, Errors 6: a database without tables is our fault, one that is away nobody's."""
    if operation.id in NEVER_FAIL:
        assert code in operation.codes  # any call may crash
        return
    world.begin(operation)
    answer = world.send(operation, broken[code].test_client())
    assert answer.json["code"] == code, answer.text
    check_problem(spec, operation, answer)


@each(["pull"])
def test_the_examples_of_sync_are_exact(operation: Operation, world: World) -> None:
    """What the tablet pushed of them is pulled, and verified, as printed."""
    world.begin(operation)
    answer = world.phone.ask_pull(None)
    assert timeless(answer.json) == CALLS["pull"].answers["first"].value
    call = CALLS["verify"]
    held = call.requests["held"].value | {"lastPulledAt": answer.json["timestamp"]}
    found = world.phone.call("POST", "/sync/verify", json=held).json
    assert timeless(found) == call.answers["same"].value


def test_another_method_names_those_that_there_are(app: Flask) -> None:
    """Contract, Requests 5: as the description says of every call at once."""
    answer = app.test_client().put(f"{API}/users/me")
    spec = app.test_client().get("/openapi.json").json
    printed = {e["code"]: e for e in spec["components"]["schemas"]["Problem"]["examples"]}
    assert answer.json["detail"] == printed["method_not_allowed"]["detail"]
    assert {"GET", "PATCH", "DELETE"} <= {m.strip() for m in answer.headers["Allow"].split(",")}
