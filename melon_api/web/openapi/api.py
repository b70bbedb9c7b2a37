"""`/openapi.json`, made from the routes, their schemas and what `service.py` of each feature says.

It is made when it is first asked for: most workers never are.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import flask_smorest
import orjson
from flask import Flask, Request, Response
from marshmallow import Schema, ValidationError, fields
from webargs.flaskparser import FlaskParser

from melon_api.errors import STATUS_OF, ValidationFailed
from melon_api.web.openapi import page, service
from melon_api.web.openapi.calls import TEXT, Call, Guards, operation
from melon_api.web.openapi.problems import HEADERS, USUAL
from melon_api.web.request import json_body

JSON = "application/json"


class ProblemSchema(Schema):
    """Every error (RFC 9457)."""

    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    code = fields.String(required=True, metadata={"enum": list(STATUS_OF)})
    detail = fields.String(required=True)
    errors = fields.Dict(metadata={"description": "the offending places; always there on 422"})
    request_id = fields.String(required=True)


class BodyParser(FlaskParser):
    """Reads bodies as `http.json_body` does, and reports in the contract's form."""

    def load_json(self, req: Request, schema: Schema) -> Any:
        return json_body()

    def handle_error(self, error: ValidationError, *args: Any, **kwargs: Any) -> NoReturn:
        messages = error.messages_dict.get("json", error.messages_dict)
        raise ValidationFailed(messages if isinstance(messages, Mapping) else {"body": messages})


class Blueprint(flask_smorest.Blueprint):
    """A Flask blueprint whose routes describe themselves; `calls` gives the words and examples, by
    the name of the view."""

    ARGUMENTS_PARSER = BodyParser()

    def __init__(
        self, *args: Any, tag: str, calls: Callable[[], Mapping[str, Call]], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._tag, self._calls = tag, calls
        self._prepare_doc_cbks.append(self._prepare_call_doc)

    def body(self, *schemas: type[Schema]) -> Any:
        """Describe a body of one of these schemas, which the view reads by itself, as JSON of any
        type."""
        return _noted(body=schemas)

    def query(self, schema: type[Schema]) -> Any:
        """Describe query parameters that the view reads by itself."""
        return _noted(query=schema)

    def _store_endpoint_docs(self, endpoint: str, *args: Any, **kwargs: Any) -> None:
        super()._store_endpoint_docs(endpoint, *args, **kwargs)
        for method, doc in self._docs[endpoint].items():
            if method != "parameters":
                doc |= {"view": endpoint, "tags": [self._tag]}

    def _prepare_call_doc(
        self, doc: dict[str, Any], info: dict[str, Any], **_: Any
    ) -> dict[str, Any]:
        call = self._calls()[info["view"]]
        if "query" in info:
            doc["parameters"] = [{"in": "query", "schema": info["query"]}]
        if "body" in info:
            doc["requestBody"] = _any_json(info["body"])
        guards = Guards(
            info.get("tokens", ()), "verified" in info, "limited" in info, "requestBody" in doc
        )
        return operation(doc, call, guards)


def _noted(**facts: Any) -> Any:
    def decorate(view: Any) -> Any:
        view._apidoc = {**getattr(view, "_apidoc", {}), **facts}
        return view

    return decorate


def _any_json(schemas: tuple[type[Schema], ...]) -> dict[str, Any]:
    """A body that is JSON whatever type it says it has."""
    schema: Any = schemas[0] if len(schemas) == 1 else {"anyOf": list(schemas)}
    text = {"type": "string", "contentMediaType": JSON, "description": "the same, as text"}
    return {"required": True, "content": {JSON: {"schema": schema}, TEXT: {"schema": text}}}


class Api(flask_smorest.Api):
    """What it describes is looked at when its `spec` is first asked for."""

    ERROR_SCHEMA = ProblemSchema
    DEFAULT_ERROR_RESPONSE_NAME = None

    def __init__(self, app: Flask) -> None:
        self._lock = threading.RLock()
        self._blueprints: list[Blueprint] = []
        self._text: bytes | None = None
        self._spec: Any = None
        super().__init__(app, spec_kwargs=service.DOCUMENT)

    def register_blueprint(self, blueprint: Blueprint, **options: Any) -> None:
        self._app.register_blueprint(blueprint, **options)
        self._blueprints.append(blueprint)

    @property
    def spec(self) -> Any:
        with self._lock:
            if self._blueprints:
                self._describe()
                self._blueprints = []
        return self._spec

    @spec.setter
    def spec(self, value: Any) -> None:
        self._spec = value

    def _describe(self) -> None:
        spec = self._spec
        for name, header in HEADERS.items():
            spec.components.header(name, header)
        for name, scheme in service.SCHEMES.items():
            spec.components.security_scheme(name, scheme)
        examples = [problem.answer(code) for code, problem in USUAL.items()]
        spec.components.schema("Problem", {"examples": examples}, schema=ProblemSchema)
        for blueprint in self._blueprints:
            blueprint.register_views_in_doc(
                self, self._app, spec, name=blueprint.name, parameters=None
            )
        service.add_service(spec, self._app)

    def _openapi_json(self) -> Response:
        with self._lock:
            if self._text is None:
                self._text = orjson.dumps(self.spec.to_dict())
        return Response(self._text, mimetype=JSON)

    def _register_error_handlers(self) -> None:
        """`errors.py` renders every error, those of this library too."""

    def _register_responses(self) -> None:
        """`problems.py` describes them."""

    def _register_pagination_header(self) -> None:
        """Pages here are the contract's (pull 6)."""


def init_app(app: Flask) -> Api:
    """The API that blueprints register with."""
    page.init_app(app)
    return Api(app)
