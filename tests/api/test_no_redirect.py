"""Nothing redirects, and what has no body is no HTML."""

import pytest
from flask import Flask


@pytest.mark.parametrize(
    "path", ["//api/v1//sync/pull", "/api/v1//sync/pull", "/api//v1/auth/login"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS"])
def test_a_double_slash_is_not_found(app: Flask, method: str, path: str) -> None:
    """Contract, Errors 1: a 308 would have a phone send its token and body again."""
    answer = app.test_client().open(path, method=method, base_url="http://localhost")
    assert answer.status_code == 404
    assert answer.content_type == "application/problem+json"


def test_options_have_no_type_of_nothing(app: Flask) -> None:
    answer = app.test_client().options("/api/v1/sync/pull")
    assert answer.status_code == 200
    assert answer.data == b"" and "Content-Type" not in answer.headers
