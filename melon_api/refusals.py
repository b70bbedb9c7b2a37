"""All 422s of a call, to be told in one answer (contract, Errors 4)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from melon_api.errors import ValidationFailed


class NoSuchParent(ValueError):
    """A record names a parent that is not there, or none where it needs one."""


class Refusals:
    """`errors`: by place, as ValidationFailed has them; of two for a place, the first counts."""

    def __init__(self, errors: Mapping[str, Any] | None = None) -> None:
        self.errors = dict(errors or {})

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Go on behind a step that raises ValidationFailed."""
        try:
            yield
        except ValidationFailed as error:
            self.errors = {**(error.errors or {}), **self.errors}

    def raise_any(self) -> None:
        """Raises ValidationFailed for all of them."""
        if self.errors:
            raise ValidationFailed(self.errors)


def places(errors: Mapping[str, Any], within: str = "") -> Iterator[str]:
    """Of {place: {…} or [sentences]}: each place with its sentences."""
    for name, found in errors.items():
        if isinstance(found, Mapping):
            yield from places(found, f"{within}{name}.")
        else:
            yield f"{within}{name}: {' '.join(found)}"
