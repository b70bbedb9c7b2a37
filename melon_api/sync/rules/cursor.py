"""Page tokens: a walk in progress, signed for its account. Pure; the server keeps no state."""

from collections.abc import Collection

from itsdangerous import BadData, URLSafeSerializer

from melon_api.sync.rules.walk import LAST_PART, Migration, Walk

PURPOSE = "melon pull cursor"  # no other signature of the same secret counts here


def write(walk: Walk, user_id: str, keys: list[str]) -> str:
    """Signed with the first of `keys`."""
    migration = [sorted(walk.migration.tables), walk.migration.columns]
    clocks = [walk.since, walk.timestamp, walk.is_replacement] + [True] * walk.is_short
    at = [walk.table, walk.after] + ([walk.part] if any(walk.part) else [])
    return str(_signer(keys).dumps([user_id, clocks, migration, *at]))


def read(text: str, user_id: str, keys: list[str], tables: Collection[str]) -> Walk | None:
    """The walk through `tables`; None for a cursor not made by this server for this account
    (contract pull 6). Any of `keys` may have signed it."""
    try:
        owner, clocks, migration, table, after, *part = _signer(keys).loads(text)
        since, timestamp, is_replacement, *short = clocks
    except (BadData, ValueError):
        return None
    ((kind, space),) = part or [Walk.part]
    # A release before this one numbered the parts by ticks of a clock.
    if owner != user_id or table not in tables or kind > LAST_PART:
        return None
    new, columns = migration
    known = {name: tuple(added) for name, added in columns.items() if name in tables}
    asked, at = Migration(frozenset(new), known), (table, after, (kind, space))
    return Walk(since, timestamp, is_replacement, asked, *at, bool(short))


def _signer(keys: list[str]) -> URLSafeSerializer:
    return URLSafeSerializer(keys[::-1], salt=PURPOSE)  # it signs with the last one
