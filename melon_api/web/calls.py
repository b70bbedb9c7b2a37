"""Decorators of views: a body is checked before the view, its result written behind it. What stands
before a view is noted on it, and `/openapi.json` made from those notes (web/openapi/)."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, NamedTuple

from flask import Response, jsonify
from marshmallow import Schema, ValidationError

from melon_api.refusals import Refusals
from melon_api.web.body.reading import has_body, json_body
from melon_api.web.openapi.notes import View, note


class Created(NamedTuple):
    """What a view answers whose usual status is another one, where it made something."""

    result: Any


def accepts(
    schema: type[Schema],
    further: Callable[[dict[str, Any]], Any] | None = None,
    *,
    needed: bool = True,
) -> Callable[[View], View]:
    """Hand the view what the schema makes of the request's JSON, as its first argument.

    `further`: what the view would refuse as well, where the schema refuses something already. It is
    given the fields that were sent, None for one that is wrong, and changes nothing; where the view
    is limited, so is this. Where a body is not `needed`, none at all is an empty one. Raises
    ValidationFailed with all of it, and what `json_body` raises.
    """
    reader = schema()

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(*args: Any, **kwargs: Any) -> Any:
            try:
                given = reader.load(json_body() if needed or has_body() else {})
            except ValidationError as error:
                refusals = Refusals(error.messages_dict)
                if further:
                    with refusals.noted():
                        further(_sent(error))
                refusals.raise_any()
            return view(given, *args, **kwargs)

        return note(checked, body=schema, body_needed=needed)

    return decorate


def _sent(error: ValidationError) -> dict[str, Any]:
    sent = error.data if isinstance(error.data, Mapping) else {}
    return {**dict.fromkeys(sent), **(error.valid_data or {})}  # type: ignore[dict-item]


def answers(
    status: int, schema: type[Schema] | None = None, *, many: bool = False, creates: bool = False
) -> Any:
    """Answer what the view returns as JSON, by this schema, or none; a Response goes as it is.
    `creates`: it may be `Created`, and the status then 201."""
    writer = schema(many=many) if schema else None

    def decorate(view: View) -> View:
        @wraps(view)
        def answered(*args: Any, **kwargs: Any) -> Response:
            result = view(*args, **kwargs)
            if isinstance(result, Response):
                return result
            is_new = creates and isinstance(result, Created)
            told = result.result if is_new else result
            response = jsonify(writer.dump(told) if writer else told)
            response.status_code = 201 if is_new else status
            return response

        return note(answered, status=status, answer=writer, creates=creates)

    return decorate
