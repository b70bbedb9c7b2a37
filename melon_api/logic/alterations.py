"""What a device has sent where a rule stored something else, kept until it must have been told."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import orjson
from sqlalchemy import Connection, insert, select

from melon_api.models.alteration import Alteration
from melon_api.sync.rules.history import Alterations, History, RecordKey
from melon_api.sync.rules.merge import Merge

RECORDS_PER_PART = 200  # so that no part is larger than what a database takes at once

_c = Alteration.__table__.c


def read(connection: Connection, user_id: str, history: History) -> Alterations:
    """Of the pushes that the device has not been told of; of each column what it sent last."""
    query = (
        select(_c.sent)
        .where(_c.user_id == user_id, _c.clock > history.since, _c.device == history.device)
        .order_by(_c.clock, _c.part)
    )
    found: dict[RecordKey, dict[str, str]] = {}
    for text in connection.scalars(query):
        for table, records in orjson.loads(text).items():
            for record_id, digests in records.items():
                found.setdefault((table, record_id), {}).update(digests)
    return found


def write(connection: Connection, user_id: str, merge: Merge, altered: Alterations) -> None:
    """Of a push that is about to be stored, at its tick."""
    fixed = {"user_id": user_id, "clock": merge.tick, "device": merge.history.device}
    rows = [fixed | {"part": part, "sent": text} for part, text in enumerate(_texts(altered))]
    if rows:
        connection.execute(insert(Alteration), rows)


def _texts(altered: Alterations) -> Iterator[str]:
    keys = list(altered)
    for start in range(0, len(keys), RECORDS_PER_PART):
        tables: dict[str, dict[str, Any]] = defaultdict(dict)
        for table, record_id in keys[start : start + RECORDS_PER_PART]:
            tables[table][record_id] = altered[table, record_id]
        yield orjson.dumps(tables).decode()
