"""`/openapi.json`, made from the routes and schemas, and `/docs`, which works without internet."""

from collections.abc import Mapping
from typing import Any, NoReturn

import flask_smorest
from flask import Flask, Request
from flask_swagger_ui import get_swaggerui_blueprint
from marshmallow import Schema, ValidationError, fields
from webargs.flaskparser import FlaskParser

from melon_api.errors import STATUS_OF, ValidationFailed
from melon_api.http import json_body

BEARER = "bearer"


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
    """A Flask blueprint whose routes describe themselves in `/openapi.json`."""

    ARGUMENTS_PARSER = BodyParser()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._prepare_doc_cbks.append(self._prepare_security_doc)

    def body(self, schema: type[Schema]) -> Any:
        """Describe a JSON body that the view reads by itself."""
        content = {"application/json": {"schema": schema}}
        return self.doc(requestBody={"required": True, "content": content})

    def query(self, schema: type[Schema]) -> Any:
        """Describe query parameters that the view reads by itself."""
        return self.doc(parameters=[{"in": "query", "schema": schema}])

    @staticmethod
    def _prepare_security_doc(
        doc: dict[str, Any], doc_info: dict[str, Any], **_: Any
    ) -> dict[str, Any]:
        if doc_info.get("signed_in"):
            doc["security"] = [{BEARER: []}]
        return doc


class Api(flask_smorest.Api):
    ERROR_SCHEMA = ProblemSchema

    def _register_error_handlers(self) -> None:
        """`errors.py` renders every error, those of this library too."""


def init_app(app: Flask) -> Api:
    """The API that blueprints register with."""
    api = Api(app)
    scheme = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    api.spec.components.security_scheme(BEARER, scheme)
    page = {"app_name": app.config["API_TITLE"], "validatorUrl": None}
    app.register_blueprint(get_swaggerui_blueprint("/docs", "/openapi.json", page))
    return api
