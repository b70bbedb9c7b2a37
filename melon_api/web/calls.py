"""Decorators of views: a body is checked before the view, its result written behind it. What stands
before a view is noted on it, and `/openapi.json` made from those notes (web/openapi/)."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Response, jsonify
from marshmallow import Schema, ValidationError

from melon_api.errors import ValidationFailed
from melon_api.web.body.reading import json_body
from melon_api.web.openapi.notes import View, note


def accepts(schema: type[Schema]) -> Callable[[View], View]:
    """Hand the view what the schema makes of the request's JSON, as its first argument.

    Raises ValidationFailed, and what `json_body` raises.
    """
    reader = schema()

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(*args: Any, **kwargs: Any) -> Any:
            try:
                given = reader.load(json_body())
            except ValidationError as error:
                raise ValidationFailed(error.messages_dict) from None
            return view(given, *args, **kwargs)

        return note(checked, body=schema)

    return decorate


def answers(status: int, schema: type[Schema] | None = None, *, many: bool = False) -> Any:
    """Answer what the view returns as JSON, by this schema, or none; a Response goes as it is."""
    writer = schema(many=many) if schema else None

    def decorate(view: View) -> View:
        @wraps(view)
        def answered(*args: Any, **kwargs: Any) -> Response:
            result = view(*args, **kwargs)
            if isinstance(result, Response):
                return result
            response = jsonify(writer.dump(result) if writer else result)
            response.status_code = status
            return response

        return note(answered, status=status, answer=writer)

    return decorate
