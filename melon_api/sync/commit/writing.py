"""What a merge has made of the rows of a space, written; and the word of it, for what follows."""

from sqlalchemy import Connection

from melon_api.events import outbox
from melon_api.sync.discovery import synced_tables
from melon_api.sync.rules.merge import Merge
from melon_api.sync.sql import adoptions, bulk, deletions


def write_merge(connection: Connection, user_id: str, merge: Merge) -> tuple[bool, bool]:
    """Write what the push changed: (whether it was anything, whether all is stored as sent)."""
    tables, count, fallen = synced_tables(), 0, False
    for name, table in tables.items():
        rows = merge.stored.get(name, {}).values()
        count += bulk.write(connection, table, user_id, rows)
        fallen = fallen or any(r.deleted and (r.is_new or r.is_changed) for r in rows)
    hit = 0
    if fallen:
        hit = deletions.delete_descendants(
            connection, tables, user_id, merge.tick, merge.history.session
        )
    as_sent = merge.as_sent and not hit and not merge.problems
    if not count and not merge.adopted:
        return False, as_sent
    device = merge.history.device
    adoptions.append(connection, user_id, merge.tick, device, merge.adopted, merge.returned)
    outbox.write(connection, tables, user_id, merge, bool(hit))
    return True, as_sent
