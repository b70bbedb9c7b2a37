"""The clocks that the cache remembers, so that idle pulls ask no database."""

from dataclasses import dataclass

from melon_api.models.space import CATALOGUE
from melon_api.models.synced import has_catalogue
from melon_api.models.user import CLOCK
from melon_api.storage.cache import Cache, Moment, Put


@dataclass(frozen=True)
class Learned:
    """A clock that was read from the database, after the cache's moment `as_of`."""

    cache: Cache
    user_id: str
    value: int
    as_of: Moment
    spaces: dict[str, int] | None = None  # of other spaces, what it stands for

    def remember(self) -> None:
        """Spare the next pulls the database. Any time will do: an older one is not taken."""
        value = self.value if self.spaces is None else [self.value, self.spaces]
        self.cache.put(self.user_id, Put(CLOCK, self.value, value, self.as_of))
        spaces = {CATALOGUE: 0} if self.spaces is None and has_catalogue() else self.spaces or {}
        for name, known in spaces.items():
            self.cache.put(name, Put(CLOCK, known, known, self.as_of))


def clock(cache: Cache, user_id: str) -> int | None:
    """The clock at some moment of this call, where it stands for all of the account's spaces; None
    when only the database knows it."""
    beside = [(CATALOGUE, CLOCK)] if has_catalogue() else []
    value, *catalogue = cache.read_each((user_id, CLOCK), *beside)
    if value is None or None in catalogue:
        return None
    if isinstance(value, int):
        return None if any(catalogue) else value
    known, spaces = value
    found = cache.read_each(*((name, CLOCK) for name in spaces)) if spaces else []
    return int(known) if found == [*spaces.values()] else None
