"""`/openapi.json` by two judges: the OpenAPI schema itself, and a linter's rules of good style."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import install_packages
from flask import Flask
from openapi_spec_validator import OpenAPIV31SpecValidator

HERE = Path(__file__).resolve().parent
QUIET = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
SECONDS = 120  # against a hang


@pytest.fixture
def description(plain_app: Flask) -> Any:
    return plain_app.test_client().get("/openapi.json").json


def lint(file: Path) -> list[dict[str, Any]]:
    """What the linter finds, warnings too; tests/openapi/redocly.yaml has the rules."""
    install_packages(HERE)
    command = ["node_modules/.bin/redocly", "lint", "--format=json", str(file)]
    done = subprocess.run(
        command,
        cwd=HERE,
        env=os.environ | QUIET,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.stdout, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["problems"]
    return found


def test_the_linter_finds_nothing(description: Any, tmp_path: Path) -> None:
    """Contract, Service 4."""
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(description))
    assert [(p["ruleId"], p["message"], p["location"][0]["pointer"]) for p in lint(file)] == []


def test_the_linter_finds_what_is_wrong(description: Any, tmp_path: Path) -> None:
    """An example that its schema does not allow, and a call without a name."""
    call = description["paths"]["/api/v1/auth/login"]["post"]
    del call["operationId"]
    examples = call["requestBody"]["content"]["application/json"]["examples"]
    examples["shortest"]["value"] = {"email": 7}
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(description))
    rules = {problem["ruleId"] for problem in lint(file)}
    assert rules == {"operation-operationId", "no-invalid-media-type-examples"}


def test_it_is_openapi_3_1(description: Any) -> None:
    errors = OpenAPIV31SpecValidator(description).iter_errors()
    assert [error.message for error in errors] == []
