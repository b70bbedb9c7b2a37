"""The description in OpenAPI 3.1: each route under the API's path, those of the app too, and the
calls at the root that words.py knows."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Flask
from marshmallow import Schema, fields
from werkzeug.routing import Rule

from melon_api.web.openapi import words
from melon_api.web.openapi.call import Blueprint, Call, Problem
from melon_api.web.openapi.operation import example, headers, operation
from melon_api.web.problems import by_code
from melon_api.web.request import API

METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}
ARGUMENT = re.compile(r"<(?:(\w+)(?:\(.*?\))?:)?(\w+)>")
KINDS = {"int": {"type": "integer"}, "float": {"type": "number"}}
KINDS["uuid"] = {"type": "string", "format": "uuid"}
WORD = {"type": "string", "minLength": 1}


def describe(app: Flask) -> dict[str, Any]:
    """All that this server answers."""
    config = app.config
    made = (config["API_TITLE"], config["API_VERSION"], config["OPENAPI_VERSION"])
    spec = APISpec(*made, plugins=[MarshmallowPlugin()], **words.DOCUMENT)
    for name, header in words.HEADERS.items():
        spec.components.header(name, header)
    for name, scheme in words.SCHEMES.items():
        spec.components.security_scheme(name, scheme)
    examples = [example(kind, Problem()) for kind in by_code().values()]
    spec.components.schema("Problem", {"examples": examples}, schema=_problem_schema())
    tags, names = dict(words.TAGS), set[str]()
    for rule, method, doc, path in _operations(app):
        tags.setdefault(doc["tags"][0], "Of this app.")
        doc["operationId"] = _free_name(rule, method, names)
        spec.path(ARGUMENT.sub(r"{\2}", rule.rule), operations={method.lower(): doc}, **path)
    for name, text in tags.items():
        spec.tag({"name": name, "description": text})
    return dict(spec.to_dict())


def _problem_schema() -> type[Schema]:
    """Every error (RFC 9457)."""
    word = fields.String(required=True)
    places = fields.Dict(metadata={"description": "the offending places; always there on 422"})
    code = fields.String(required=True, metadata={"enum": list(by_code())})
    whole: dict[str, Any] = {
        "type": word,
        "title": word,
        "status": fields.Integer(required=True),
        "code": code,
    }
    whole |= {"detail": word, "errors": places, "request_id": word}
    return Schema.from_dict(whole, name="Problem")


def _operations(app: Flask) -> Iterator[tuple[Rule, str, dict[str, Any], dict[str, Any]]]:
    """Each call with the parameters of its path. Pages are left out."""
    rooms: dict[str, tuple[str, Mapping[str, Call]]] = {"": (words.SERVICE, words.CALLS)}
    for name, blueprint in app.blueprints.items():
        rooms[name] = (name.capitalize(), {})
        if isinstance(blueprint, Blueprint):
            rooms[name] = (blueprint.tag, blueprint.calls())
    for rule in app.url_map.iter_rules():
        room, _, name = rule.endpoint.rpartition(".")
        if rule.rule.startswith(API) or rule.endpoint in words.CALLS:
            tag, calls = rooms[room]
            for method in sorted((rule.methods or set()) & METHODS):
                yield rule, method, *_operation(app, rule, tag, calls.get(name))


def _operation(
    app: Flask, rule: Rule, tag: str, call: Call | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What nobody says anything of has its decorators, its docstring and any error at all."""
    view = app.view_functions[rule.endpoint]
    doc = operation(view, call or Call(), speaks_json=rule.rule.startswith(API))
    doc["tags"] = [tag]
    if call is None:
        doc["responses"]["default"] = _any_error()
    return doc, {"parameters": [*_arguments(rule, call.path if call else {})]}


def _any_error() -> dict[str, Any]:
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": "Any error.", "headers": headers("Link"), "content": content}


def _arguments(rule: Rule, said: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for kind, name in ARGUMENT.findall(rule.rule):
        schema = KINDS.get(kind, WORD)
        yield {"in": "path", "name": name, **said.get(name, {}), "required": True, "schema": schema}


def _free_name(rule: Rule, method: str, taken: set[str]) -> str:
    """The view's, in camel case; where an app has two of them, with more before it."""
    view = rule.endpoint.rpartition(".")[2]
    names = map(_camel, (view, f"{method} {rule.endpoint}", f"{method} {rule.rule}"))
    found = next(name for name in names if name not in taken)
    taken.add(found)
    return found


def _camel(text: str) -> str:
    parts: list[str] = re.findall(r"[A-Za-z0-9]+", text)
    first, *rest = parts
    return first.lower() + "".join(word[0].upper() + word[1:] for word in rest)
