"""What stands before a view, noted on it by its decorators."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

View = Callable[..., Any]
F = TypeVar("F", bound=View)


def note(view: F, **facts: Any) -> F:
    """Note what a decorator puts before a view; `functools.wraps` hands it on to the next one."""
    view.notes = {**notes(view), **facts}  # type: ignore[attr-defined]
    return view


def notes(view: View) -> Mapping[str, Any]:
    """`body`, `body_needed`, `status`, `answer`, `creates` of web/calls.py, `limited`;
    `tokens`, `verified` of `signed_in`."""
    noted: Mapping[str, Any] = getattr(view, "notes", {})
    return noted
