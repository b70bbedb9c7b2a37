"""How a phone calls the server: signed in, below /api/v1; errors that it answers are raised."""

import re
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from melon_api.errors import DomainError, EmailTaken
from melon_api.web.problems import by_code
from melon_api.web.request import API

PASSWORD = "correct-horse-battery"  # noqa: S105 - of everybody in a test


class SignedIn:
    """A device of an account, which the first of them opens. `account_id`: whose it is."""

    def __init__(self, app: Flask, email: str, device: str) -> None:
        self._http = app.test_client()
        self.email, self.access_token = email, ""
        device_id = re.sub("[^A-Za-z0-9_.-]", "-", f"{email}-{device}")[-64:]
        body = {"email": email, "password": PASSWORD, "device_id": device_id}
        try:
            answer = self.post("/auth/register", body)
        except EmailTaken:
            answer = self.post("/auth/login", body)
        self.access_token, self.account_id = answer["access_token"], answer["user"]["id"]

    def call(self, method: str, path: str, **options: Any) -> TestResponse:
        """A call of this phone's below /api/v1, with its token; `options` as Flask's test client
        has them: `json=…`. Returns the answer, of whatever status."""
        token = {"Authorization": f"Bearer {self.access_token}"} if self.access_token else {}
        headers = token | options.pop("headers", {})
        # buffered: read to its end and closed, as over a network
        return self._http.open(API + path, method=method, headers=headers, buffered=True, **options)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The JSON that is answered. Raises what the server raised, as its class in
        `melon_api.errors`."""
        answer = self.call("POST", path, json=body)
        if answer.status_code >= 400:
            raise error_of(answer)
        found: dict[str, Any] = answer.get_json()
        return found


def error_of(answer: TestResponse) -> DomainError:
    """An error answer as the exception that the server raised."""
    problem = answer.json or {}
    kind = by_code()[problem["code"]]
    error = kind.__new__(kind)  # an app's own may be made of other things
    DomainError.__init__(error, problem["detail"], problem.get("errors"))
    error.add_note(f"{answer.request.path} answered {answer.status_code}: {answer.text.strip()}")
    return error
