"""A person, her phones and a server, as the examples of `/openapi.json` have them; and the ways to
have that server say each of its errors."""

import functools
import gzip
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import described_spaces
from devices import API, Device, guest, note_tokens
from flask import Flask
from flask_jwt_extended import create_access_token
from issuer import LocalIssuer
from jsonschema import Draft202012Validator, FormatChecker
from werkzeug.test import TestResponse

from melon_api.auth.docs import ADA, MAILED
from melon_api.auth.docs import calls as auth_calls
from melon_api.auth.tokens import digest, keys_now
from melon_api.errors import NotFound
from melon_api.logic import Changes, before_push, registry
from melon_api.models.base import db, now_ms, utc_now
from melon_api.models.mailed_token import MailedCode, MailedToken
from melon_api.models.synced import Synced
from melon_api.models.user import NO_PASSWORD, Identity, User
from melon_api.passwordless import codes
from melon_api.passwordless.docs import CODE, ID_TOKEN
from melon_api.passwordless.docs import calls as passwordless_calls
from melon_api.passwordless.oidc.keys import Issuer
from melon_api.passwordless.oidc.provider import Provider
from melon_api.sync.discovery import _models
from melon_api.sync.docs.examples import LONG_AGO, NOW
from melon_api.sync.docs.examples import calls as sync_calls
from melon_api.users import admin, finding
from melon_api.users.docs import NEW_ADDRESS
from melon_api.users.docs import calls as user_calls
from melon_api.web.openapi.call import Call


def camel(name: str) -> str:
    """A view's name as an operationId, which generated clients have as a method."""
    return re.sub(r"_(\w)", lambda found: found[1].upper(), name)


ALL = auth_calls() | passwordless_calls() | user_calls() | described_spaces.CALLS | sync_calls()
CALLS = {camel(view): call for view, call in ALL.items()}
METHODS = ("get", "post", "patch", "delete")
GUESTS = {"upgrade"}  # what only they may call
PURPOSES = {"resetPassword": "reset", "verifyEmail": "verify"}
JSON = "application/json"
HAVE_RECORDS = {"pull", "pullByQuery", "push", "verify", "exportMe"}


@dataclass(frozen=True)
class Operation:
    """A call as it is described; `call` has what the description does not say."""

    method: str
    path: str
    doc: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.doc["operationId"])

    @property
    def call(self) -> Call:
        return CALLS[self.id]

    @property
    def codes(self) -> set[str]:
        """The errors that it is said to answer."""
        return {code for answer in self.doc["responses"].values() for code in told(answer)}

    def problem(self, code: str) -> dict[str, Any]:
        """The example of this error."""
        found = [
            told(answer)[code] for answer in self.doc["responses"].values() if code in told(answer)
        ]
        (example,) = found
        return dict(example["value"])


def told(answer: dict[str, Any]) -> dict[str, Any]:
    """The examples of an error's response, by code."""
    problem = answer.get("content", {}).get("application/problem+json", {})
    return dict(problem.get("examples", {}))


def operations(spec: dict[str, Any]) -> list[Operation]:
    return [
        Operation(method, path, item[method])
        for path, item in spec["paths"].items()
        for method in METHODS
        if method in item
    ]


def misfits(spec: dict[str, Any], schema: dict[str, Any], value: Any) -> list[str]:
    """In what a value is not as a schema of the description says."""
    whole = schema | {"components": spec["components"]}  # that its references point into
    checker = Draft202012Validator(whole, format_checker=FormatChecker())
    return [f"{error.json_path}: {error.message}" for error in checker.iter_errors(value)]


@functools.cache
def issuer() -> LocalIssuer:
    """One for all tests of a process, which its threads end with."""
    return LocalIssuer().__enter__()


def knows_the_issuer(app: Flask) -> None:
    provider = Provider("google", issuer().url, frozenset({"app.melon"}))
    app.extensions["oidc"] = {"google": Issuer(provider, loopback=True)}


def with_token(body: Any) -> Any:
    """An example's body, with an ID token of now in place of the example's."""
    if not isinstance(body, dict) or body.get("id_token") != ID_TOKEN:
        return body
    said = {"email": ADA["email"], "email_verified": True, "nonce": body.get("nonce")}
    return body | {"id_token": issuer().token(sub="ada", **said)}


class World:
    """Ada, on one server; everything she did before is undone by `begin`."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.http = app.test_client()
        knows_the_issuer(app)
        self.member = ""

    def begin(self, operation: Operation, code: str = "") -> None:
        """As it is before this call: nobody there to register, else Ada on her phone."""
        self.app.config["REQUIRE_VERIFIED_EMAIL"] = self.app.config["RATELIMIT_ENABLED"] = False
        for email in (ADA["email"], NEW_ADDRESS["email"]):
            with self.app.app_context(), suppress(NotFound):
                admin.delete(finding.find(email))
        described_spaces.forget_spaces(self.app)
        if operation.id == "register" and code != "email_taken":
            return
        if operation.id in GUESTS and code != "forbidden":
            self._as_guest()
            if code == "email_taken":
                self._post("register", ADA)
            return
        self.user = self._post("register", ADA)["user"]
        self.phone, self.tablet = self._device(), self._device()
        if operation.id in HAVE_RECORDS:
            self.tablet.push(**CALLS["push"].requests["created"].value["changes"])
        if operation.id == "unlinkIdentity":
            self._links("ada", NO_PASSWORD if code == "last_identity" else None)
        if code == "identity_taken":
            self._links("another")
        if operation.id == "signInWithCode":
            self._mail_code()
        if purpose := PURPOSES.get(operation.id):
            self._mail(purpose)
        if code == "email_taken":
            self._post("register", ADA | {"email": NEW_ADDRESS["email"]})
        self.member = self.user["id"]
        described_spaces.begin(self, operation.id, code)

    def _as_guest(self) -> None:
        self.phone = self.tablet = guest(self.app)
        self.user = self.phone.call("GET", "/users/me").json

    def _post(self, path: str, body: Any) -> Any:
        answer = self.http.post(f"{API}/auth/{path}", json=body)
        assert answer.status_code in (200, 201), answer.text
        note_tokens(answer.json["access_token"], answer.json["refresh_token"])
        return answer.json

    def _device(self) -> Device:
        return Device(self.app, self._post("login", ADA))

    def _mail(self, purpose: str) -> None:
        """The example's token, as if it had been mailed."""
        now = utc_now()
        row = MailedToken(
            digest=digest(MAILED),
            user_id=self.user["id"],
            purpose=purpose,
            email=ADA["email"],
            created_at=now,
            expires_at=now + timedelta(minutes=1),
        )
        with self.app.app_context():
            db.session.add(row)
            db.session.commit()

    def _links(self, subject: str, password: str | None = None) -> None:
        """Ada's account, whose address is verified then, unless no password is left."""
        with self.app.app_context():
            user = db.session.get(User, self.user["id"])
            assert user is not None
            db.session.add(Identity(provider="google", subject=subject, user_id=user.id))
            user.email_verified_at = None if password else utc_now()
            user.password, user.providers = password or user.password, "google"
            user.version += 1
            db.session.commit()

    def _mail_code(self) -> None:
        """The example's code, as if it had been mailed."""
        dates = {"created_at": utc_now(), "expires_at": utc_now() + timedelta(minutes=1)}
        with self.app.app_context():
            digest = codes._digest(keys_now()[0], ADA["email"], CODE)
            codes.unit_of_work(lambda unit: codes.void(unit.connection(), ADA["email"]))
            db.session.add(MailedCode(email=ADA["email"], digest=digest, wrong=0, **dates))
            db.session.commit()

    def token(self, operation: Operation) -> str | None:
        """What the call takes, of the phone."""
        kinds = {kind for way in operation.doc["security"] for kind in way}
        if "accessToken" in kinds:
            return self.phone.access_token
        return self.phone.refresh_token if "refreshToken" in kinds else None

    def send(self, operation: Operation, http: Any = None, **kwargs: Any) -> TestResponse:
        """The call with its first example, or as `kwargs` say otherwise: a `json` body, `query`,
        `token`, `headers`, or all that Werkzeug's client takes."""
        token = kwargs.pop("token", self.token(operation))
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= kwargs.pop("headers", {})
        if not kwargs.keys() & {"json", "data"} and operation.call.requests:
            kwargs["json"] = next(iter(operation.call.requests.values())).value
        if kwargs.get("json", ...) is None:
            del kwargs["json"]
        if "json" in kwargs:
            kwargs["json"] = with_token(kwargs["json"])
        if http is not None:
            knows_the_issuer(http.application)
        query = kwargs.pop("query", operation.call.query)
        path = operation.path
        names = described_spaces.PATHS | {"user_id": self.member, "provider": "google"}
        if "{session_id}" in path:
            (mine,) = [s for s in self._sessions() if s["current"]]
            names["session_id"] = mine["id"]
        names |= kwargs.pop("names", {})
        return (http or self.http).open(
            path.format(**names),
            method=operation.method.upper(),
            headers=headers,
            query_string=query,
            buffered=True,
            **kwargs,
        )

    def _sessions(self) -> Any:
        found = self.phone.call("GET", "/auth/sessions").json
        return found if isinstance(found, list) else [{"id": "over", "current": True}]


Provocation = Callable[[World, Operation], TestResponse]


def asked_otherwise(**kwargs: Any) -> Provocation:
    return lambda world, operation: world.send(operation, **kwargs)


def with_expired_token(world: World, operation: Operation) -> TestResponse:
    with world.app.app_context():
        claims = {"sid": "x", "dev": "x", "iat": 1}
        token = create_access_token(
            "x", expires_delta=timedelta(seconds=-1), additional_claims=claims
        )
    return world.send(operation, token=token)


def after_sign_out(world: World, operation: Operation) -> TestResponse:
    """Or with a refresh token that was used long ago."""
    if operation.id == "register":
        return world.send(operation)
    if operation.id == "refresh":
        used = world.phone.refresh_token
        for _ in range(2):
            pair = world.send(operation).json
            world.phone.refresh_token = pair["refresh_token"]
            note_tokens(pair["access_token"], pair["refresh_token"])
        return world.send(operation, token=used)
    world.phone.call("POST", "/auth/logout")
    return world.send(operation)


def disabled(world: World, operation: Operation) -> TestResponse:
    if operation.id != "register":
        with world.app.app_context():
            admin.set_active(world.user["id"], is_active=False)
    return world.send(operation)


def unverified(world: World, operation: Operation) -> TestResponse:
    world.app.config["REQUIRE_VERIFIED_EMAIL"] = True
    return world.send(operation)


def too_often(world: World, operation: Operation) -> TestResponse:
    """The tests' server allows one call of each kind. An account that is gone makes no second."""
    world.app.config["RATELIMIT_ENABLED"] = True
    body = {"updateMe": NEW_ADDRESS, "deleteMe": {"password": "x"}}.get(operation.id)
    more = {"json": body} if body else {}
    for _ in range(2):
        answer = world.send(operation, **more)
    return answer


def with_its_request(code: str) -> Provocation:
    """The body that the example says it is the answer to."""
    return lambda world, operation: world.send(
        operation, json=operation.call.problems[code].request
    )


def by_its_role(code: str) -> Provocation:
    """With the body that the example says it is the answer to, where the call's own will not do."""

    def provoke(world: World, operation: Operation) -> TestResponse:
        own = operation.call.problems[code].request
        return world.send(operation, **({} if own is None else {"json": own}))

    return provoke


def by_a_rule(world: World, operation: Operation) -> TestResponse:
    """Of an app that refuses whatever is called as in the example."""
    ((table, _),) = operation.call.problems["refused"].request["changes"].items()
    (places,) = operation.call.problems["refused"].errors["changes"][table]["created"].values()
    ((column, (text,)),) = places.items()
    (model,) = (model for model in _models(Synced) if model.__table__.name == table)

    @before_push(model)
    def refuse(changes: Changes) -> None:
        for record in changes.created:
            record.refuse(text, column)

    try:
        return with_its_request("refused")(world, operation)
    finally:
        registry.rules.clear()


def wrongly(world: World, operation: Operation) -> TestResponse:
    if operation.id == "pullByQuery":
        return world.send(operation, query={"cursor": "another server's"})
    return with_its_request("validation_failed")(world, operation)


def behind_the_tablet(world: World, operation: Operation) -> TestResponse:
    """Of a record that the phone made, and the tablet has edited since."""
    problem = operation.call.problems.get("sync_conflict")
    assert problem is not None
    assert world.send(operation).status_code == 200
    ((table, lists),) = problem.request["changes"].items()
    edited = lists["created"][0] | {"updated_at": 7, "_changed": "updated_at"}
    world.tablet.pull()
    world.tablet.push(**{table: {"created": [], "updated": [edited], "deleted": []}})
    return world.send(operation, json=problem.request)


def from_elsewhere(world: World, operation: Operation) -> TestResponse:
    """With what another server's pull has said."""
    if operation.id == "pullByQuery":
        return world.send(operation, query={"last_pulled_at": str(LONG_AGO)})
    return with_its_request("foreign_clock")(world, operation)


def late(world: World, operation: Operation) -> TestResponse:
    """After the example's deletion, which has the next number."""
    newest = operation.call.requests["deleted"].value
    assert world.send(operation, json=newest).status_code == 200
    return with_its_request("push_outdated")(world, operation)


CUT = gzip.compress(b"{}" * 99, mtime=0)[:-9]
PACKED = {"Content-Encoding": "gzip", "Content-Type": JSON}
NOT_MINE = {"session_id": "not-mine", "space_id": "not-mine", "provider": "github"}
PROVOCATIONS: dict[str, Provocation] = {
    "malformed_json": asked_otherwise(data=b"{", content_type=JSON),
    "bad_request": asked_otherwise(data=CUT, headers=PACKED),
    "token_missing": asked_otherwise(token=None),
    "token_expired": with_expired_token,
    "token_invalid": asked_otherwise(token="not.one.ours"),
    "token_revoked": after_sign_out,
    "invalid_credentials": with_its_request("invalid_credentials"),
    "account_disabled": disabled,
    "email_not_verified": unverified,
    "forbidden": by_its_role("forbidden"),
    "not_found": asked_otherwise(names=NOT_MINE),
    "not_acceptable": asked_otherwise(headers={"Accept": "text/html"}),
    "email_taken": with_its_request("email_taken"),
    "identity_taken": with_its_request("identity_taken"),
    "last_identity": asked_otherwise(),
    "id_taken": with_its_request("id_taken"),
    "last_owner": by_its_role("last_owner"),
    "sync_conflict": behind_the_tablet,
    "foreign_clock": from_elsewhere,
    "push_outdated": late,
    "payload_too_large": asked_otherwise(environ_overrides={"CONTENT_LENGTH": str((32 << 20) + 1)}),
    "unsupported_media_type": asked_otherwise(data=b"{}", content_type="text/html"),
    "validation_failed": wrongly,
    "unknown_table": with_its_request("unknown_table"),
    "unknown_parent": with_its_request("unknown_parent"),
    "refused": by_a_rule,
    "rate_limited": too_often,
}

# What only those calls can meet that say so.
OWN = {"invalid_credentials", "email_taken", "sync_conflict", "foreign_clock", "validation_failed"}
OWN |= {
    "id_taken",
    "identity_taken",
    "last_identity",
    "last_owner",
    "forbidden",
    "unknown_table",
    "unknown_parent",
    "push_outdated",
    "refused",
}
CASES = [
    (name, code)
    for name, call in CALLS.items()
    for code in PROVOCATIONS
    if code in call.problems or code not in OWN
]


def of_now(body: Any) -> Any:
    """An example's body, with a clock of an hour ago, which this server may have given."""
    is_later = isinstance(body, dict) and body.get("lastPulledAt") == NOW
    return body | {"lastPulledAt": now_ms() - 3_600_000} if is_later else body


def timeless(value: Any) -> Any:
    """Clocks of now as the examples' one."""
    if isinstance(value, dict):
        return {
            k: NOW if k in ("timestamp", "lastPulledAt") and v else timeless(v)
            for k, v in value.items()
        }
    return [timeless(item) for item in value] if isinstance(value, list) else value


def shape(value: Any) -> Any:
    """What keys there are, in what."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    return [shape(item) for item in value[:1]] if isinstance(value, list) else None


def numberless(text: str) -> str:
    return re.sub(r"\d+ per \d+ \w+|\d+ bytes", "a limit", text)
