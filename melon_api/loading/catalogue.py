"""Records that every account reads, from lines `{"id": …, …}` of one catalogue table (contract,
Spaces 6)."""

from collections.abc import Iterator
from typing import Any, BinaryIO

from flask import current_app

from melon_api.errors import NotFound
from melon_api.loading.batches import CHANGES, Entry, model_of, steadily, store
from melon_api.loading.lines import read
from melon_api.loading.report import Report
from melon_api.models.space import CATALOGUE
from melon_api.sync.discovery import synced_tables
from melon_api.sync.rules import tables as reaches
from melon_api.sync.rules.body import BAD_ID
from melon_api.sync.rules.tables import ID

LINES_AT_A_TIME = 1_000


def load(
    file: BinaryIO, table: str, report: Report, *, replace: bool, dry_run: bool
) -> tuple[int, int]:
    """(how many lines were good, how many records that are not in the file were deleted). With a
    bad line none is deleted: it may be the record's. Raises NotFound for what is no catalogue."""
    known = synced_tables().get(table)
    if known is None or known.reach != reaches.CATALOGUE:
        raise NotFound(f"There is no catalogue {table!r}.")
    good, kept = 0, set[str]()
    for entries in _some_at_a_time(_entries(file, table, report)):
        wrong = store(CATALOGUE, entries, dry_run=dry_run)
        for number, sentence in sorted(wrong.items()):
            report(number, sentence)
        good += len(entries) - len(wrong)
        kept.update(entry.record["id"] for entry in entries)
    is_replaced = replace and not report.bad
    return good, _delete_others(table, kept, dry_run) if is_replaced else 0


def _entries(file: BinaryIO, table: str, report: Report) -> Iterator[Entry]:
    for number, _, record in read(file, report):
        record_id = record.get("id")
        if isinstance(record_id, str) and ID.match(record_id):
            yield Entry(number, table, record)
        else:
            report(number, f"id: {BAD_ID[0]}")


def _some_at_a_time(entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    some: list[Entry] = []
    for entry in entries:
        some.append(entry)
        if len(some) == LINES_AT_A_TIME:
            yield some
            some = []
    if some:
        yield some


def _delete_others(table: str, kept: set[str], dry_run: bool) -> int:
    model: Any = model_of(table)

    def work() -> int:
        with current_app.extensions[CHANGES](CATALOGUE, dry_run=dry_run) as catalogue:
            gone = [record for record in catalogue.select(model) if record.id not in kept]
            for record in gone:
                record.delete()
        return len(gone)

    return steadily(work)
