"""Who asks, while schemathesis does: somebody who is signed in, and somebody new for each call that
ends a sign-in. Loaded by SCHEMATHESIS_HOOKS."""

import itertools
import os
from typing import Any

import requests
import schemathesis

PASSWORD = "correct horse battery"  # that of the examples
# They sign out, rotate the token, or delete the account.
ENDS_IT = {"refresh", "logout", "logoutAll", "endSession", "deleteMe", "changePassword"}
_numbers = itertools.count()


def newcomer() -> dict[str, Any]:
    """The answer to a registration."""
    url = os.environ["MELON_URL"]
    body = {"email": f"fuzz.{os.getpid()}.{next(_numbers)}@example.com", "password": PASSWORD}
    answer = requests.post(f"{url}/api/v1/auth/register", json=body, timeout=30)
    answer.raise_for_status()
    return dict(answer.json())


def id_of(operation: Any) -> str:
    return str(operation.definition.raw.get("operationId"))


@schemathesis.auth(refresh_interval=None)
class Person:
    """Calls that end nothing share one sign-in."""

    shared: dict[str, Any] | None = None

    def get(self, case: Any, context: Any) -> str:
        name = id_of(context.operation)
        if name not in ENDS_IT:
            Person.shared = Person.shared or newcomer()
            return str(Person.shared["access_token"])
        return str(newcomer()["refresh_token" if name == "refresh" else "access_token"])

    def set(self, case: Any, data: str, context: Any) -> None:
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {data}"
