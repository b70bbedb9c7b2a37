"""All 422s of a call, to be told in one answer (contract, Errors 4)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from melon_api.errors import ValidationFailed


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
