"""What a feature's `docs.py` says of its calls: examples, and what no decorator knows. Data alone.

The words are the view's docstring, its name is the `operationId`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import flask

JSON, TEXT = "application/json", "text/plain"


@dataclass(frozen=True)
class Example:
    """A body, and the `query` that it is sent with."""

    summary: str
    value: Any
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Problem:
    """An error as this call says it: to which `request`, with which `errors` and `detail`; what is
    not given is the class's own."""

    request: Any = None
    errors: Any = None
    detail: str | None = None


@dataclass(frozen=True)
class Call:
    """`requests` are bodies, `answers` those of its success, each by name; `problems`, by code, are
    its own, or what is usual in its own words.

    A view that reads its body by itself names the schemas (`takes`, JSON of any type), as one that
    reads its query does (`asks`, with an example in `query`), or makes its answer (`gives`).
    """

    requests: Mapping[str, Example] = field(default_factory=dict)
    answers: Mapping[str, Example] = field(default_factory=dict)
    problems: Mapping[str, Problem] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    path: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    takes: tuple[Any, ...] = ()
    asks: Any = None
    gives: Any = None
    media: str = JSON
    security: list[dict[str, Any]] | None = None


class Blueprint(flask.Blueprint):
    """With the heading of its calls and, by the names of its views, what there is to say of them:
    `calls` is asked when the description is made."""

    def __init__(
        self, name: str, module: str, tag: str, calls: Callable[[], Mapping[str, Call]], **kw: Any
    ) -> None:
        super().__init__(name, module, **kw)
        self.tag, self.calls = tag, calls
