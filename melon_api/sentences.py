"""What a command says of an error that is no fault of its own: sentences, and no traceback."""

import re
from collections.abc import Callable
from functools import wraps
from typing import Any

import click
from marshmallow import ValidationError

from melon_api.errors import DomainError, ValidationFailed
from melon_api.refusals import places
from melon_api.room import AppError
from melon_api.storage.cache import cache

HALF = re.compile("[\ud800-\udfff]")


def plainly(command: Callable[..., None]) -> Callable[..., None]:
    """Raises ClickException for what is wrong with what the command was given, or in the app."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        _check_text(kwargs)
        try:
            command(*args, **kwargs)
        except DomainError as error:
            raise _sentence(error) from None
        except AppError as error:
            raise click.ClickException(str(error)) from None
        except ValidationError as error:
            raise _sentence(ValidationFailed(error.messages_dict)) from None
        finally:
            cache().settle()  # or a worker might never learn of it

    return run


def _check_text(given: dict[str, Any]) -> None:
    """Python makes halves of characters of bytes that are no UTF-8 (PEP 383): no database takes
    them, and no hash. A password is named, not said."""
    for name, value in given.items():
        texts = value if isinstance(value, tuple) else (value,)
        if any(isinstance(text, str) and HALF.search(text) for text in texts):
            raise click.ClickException(f"{name}: not UTF-8")


def _sentence(error: DomainError) -> click.ClickException:
    return click.ClickException("\n  ".join([error.detail, *places(error.errors or {})]))
