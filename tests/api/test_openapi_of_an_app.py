"""An app's own routes are described, too, by as much as they say; none of them breaks the page."""

import json
import os
from pathlib import Path
from typing import Any

import forks
import pytest
from conftest import environment
from flask import Blueprint, Flask
from marshmallow import Schema, fields
from openapi_spec_validator import OpenAPIV31SpecValidator

from melon_api.auth.guard import signed_in
from melon_api.errors import DomainError, Example
from melon_api.web.calls import accepts, answers
from melon_api.web.problems import by_code
from melon_api.web.request import API

ROOT = Path(__file__).parents[2]


class ListSchema(Schema):
    name = fields.String(required=True)


@pytest.fixture
def app(plain_app: Flask) -> Flask:
    """With routes as a newcomer writes them."""
    blueprint = Blueprint("lists", __name__, url_prefix=f"{API}/lists")

    @blueprint.route("/", methods=["GET", "PUT"])
    def push() -> str:
        return "a name that melon has, too"

    @blueprint.get("/<int:number>/of/<path:place>")
    def one(number: int, place: str) -> dict[str, Any]:
        """One of them.

        By its number.
        """
        return {"number": number, "place": place}

    @blueprint.post("/shared")
    @accepts(ListSchema)
    @answers(201, ListSchema)
    def share(given: dict[str, Any]) -> dict[str, Any]:
        """Share it"""
        return given | {"secret": 1}

    @blueprint.get("/mine")
    @signed_in()
    def mine() -> dict[str, Any]:
        return {}

    @plain_app.get("/about")
    def about() -> str:
        return "a page"

    plain_app.register_blueprint(blueprint)
    return plain_app


@pytest.fixture
def spec(app: Flask) -> dict[str, Any]:
    return dict(app.test_client().get("/openapi.json").json)


def test_the_description_is_sound(spec: dict[str, Any]) -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(spec).iter_errors()] == []
    assert spec["tags"][-1]["name"] == "Lists"
    assert "/about" not in spec["paths"]


def test_each_has_a_name_of_its_own(spec: dict[str, Any]) -> None:
    methods = spec["paths"][f"{API}/lists/"]
    assert methods["get"]["operationId"] == "getListsPush"
    assert methods["put"]["operationId"] == "putListsPush"
    assert spec["paths"][f"{API}/sync/push"]["post"]["operationId"] == "push"


def test_a_docstring_is_its_words_and_the_rule_its_parameters(spec: dict[str, Any]) -> None:
    path = spec["paths"][f"{API}/lists/{{number}}/of/{{place}}"]
    assert path["get"]["summary"] == "One of them"
    assert path["get"]["description"] == "By its number."
    assert [(p["name"], p["schema"]["type"]) for p in path["parameters"]] == [
        ("number", "integer"),
        ("place", "string"),
    ]


def test_what_stands_before_a_view_is_described(spec: dict[str, Any]) -> None:
    share = spec["paths"][f"{API}/lists/shared"]["post"]
    schema = {"$ref": "#/components/schemas/List"}
    assert share["requestBody"]["content"]["application/json"]["schema"] == schema
    assert share["responses"]["201"]["content"]["application/json"]["schema"] == schema
    assert "validation_failed" in share["responses"]["422"]["description"]
    mine = spec["paths"][f"{API}/lists/mine"]["get"]
    assert mine["security"] == [{"accessToken": []}]
    assert "token_expired" in mine["responses"]["401"]["description"]
    assert "default" in mine["responses"]  # whatever else it answers


def test_the_decorators_check_and_write(app: Flask) -> None:
    http = app.test_client()
    good = http.post(f"{API}/lists/shared", json={"name": "Food"})
    assert (good.status_code, good.json) == (201, {"name": "Food"})
    bad = http.post(f"{API}/lists/shared", json={})
    assert (bad.status_code, bad.json["code"]) == (422, "validation_failed")
    assert bad.json["errors"] == {"name": ["Missing data for required field."]}


def test_an_app_without_tables_is_described(tmp_path: Path) -> None:
    """By `flask openapi print`: its pulls are empty."""
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "__init__.py").write_text('"""Nothing yet."""')
    url = f"sqlite:///{tmp_path}/bare.db"
    places = {"PYTHONPATH": f"{tmp_path}:{ROOT}", "PATH": os.environ["PATH"]}
    environ = environment("sqlite", url, MELON_APP="bare", INSTANCE_PATH=str(tmp_path)) | places
    done = forks.run("flask", "--app", "wsgi", "openapi", "print", cwd=ROOT, environ=environ)
    assert done.returncode == 0, done.stderr
    spec = json.loads(done.stdout)
    assert [error.message for error in OpenAPIV31SpecValidator(spec).iter_errors()] == []
    assert spec["components"]["schemas"]["Changes"]["properties"] == {}
    assert f"{API}/sync/pull" in spec["paths"]


def test_an_error_of_the_app_is_answered_and_described(app: Flask) -> None:
    """Its class is all that it takes."""

    class ListIsFull(DomainError):
        code, status, advice = "list_is_full", 409, "take something off it"
        example = Example("There is no room.")

    @app.get(f"{API}/full")
    def full() -> None:
        raise ListIsFull

    answer = app.test_client().get(f"{API}/full")
    assert (answer.status_code, answer.json["code"]) == (409, "list_is_full")
    assert answer.json["detail"] == "There is no room."
    assert answer.headers["Link"] == '</docs/errors#list_is_full>; rel="help"'
    page = app.test_client().get("/docs/errors").text
    assert 'id="list_is_full"' in page and "take something off it" in page
    spec = app.test_client().get("/openapi.json").json
    assert "list_is_full" in spec["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]
    del ListIsFull.code  # of no other test
    assert "list_is_full" not in by_code()
