"""Records of many accounts, from lines `{"account": …, "table": …, "record": {…}}`."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import Any, BinaryIO

import orjson

from melon_api.loading.batches import Entry, Orphan, Wrong, store
from melon_api.loading.late import Late
from melon_api.loading.lines import read
from melon_api.loading.report import Report
from melon_api.loading.window import Groups, Waiting, Window
from melon_api.sync.discovery import synced_tables
from melon_api.sync.rules.body import BAD_ID
from melon_api.sync.rules.tables import ID
from melon_api.users.finding import find_all

NAMES = {"account", "table", "record"}
MOST_ACCOUNT_LETTERS = 300  # an address has 254


def load(file: BinaryIO, report: Report, *, dry_run: bool = False) -> int:
    """Store what can be, in transactions of an account each; how many lines were good. A child that
    comes long before its parent is tried again at the end."""
    loading, lines = Loading(report, dry_run), _checked(file, report)
    with ExitStack() as files:
        while True:
            late, before = Late(files.enter_context(TemporaryFile())), loading.good
            is_whole = loading.store_all(lines, late)
            if is_whole or dry_run or loading.good == before:
                break
            lines = (line for line, _ in late.lines())
        for line, wrong in late.lines():
            report(line.number, wrong)
    return loading.good


def _checked(file: BinaryIO, report: Report) -> Iterator[Waiting]:
    for number, text, value in read(file, report):
        if wrong := _wrong(value):
            report(number, wrong)
        else:
            yield Waiting(number, text)


def _wrong(value: dict[str, Any]) -> str | None:
    if value.keys() != NAMES:
        return f"not exactly {', '.join(sorted(NAMES))}"
    account, table, record = value["account"], value["table"], value["record"]
    if not isinstance(account, str) or len(account) > MOST_ACCOUNT_LETTERS:
        return "account: not an address or an id"
    if not isinstance(table, str) or table not in synced_tables():
        return f"table: there is no {table!r} that syncs"
    if not isinstance(record, dict):
        return "record: not an object"
    record_id = record.get("id")
    if not isinstance(record_id, str) or not ID.match(record_id):
        return f"record.id: {BAD_ID[0]}"
    return None


@dataclass
class Loading:
    """`good`: how many lines are stored, or would be."""

    report: Report
    dry_run: bool
    good: int = 0

    def store_all(self, lines: Iterable[Waiting], late: Late) -> bool:
        """Whether they were few enough for every child to have met its parent; else those that did
        not are in `late`."""
        window, is_whole, number = Window(), True, 0
        for line in lines:
            number = line.number
            if full := window.add(orjson.loads(line.text)["account"].strip(), line):
                is_whole = False
                self._store(full, number, late)
        self._store(window.rest(), number, late)
        return is_whole

    def _store(self, groups: Groups, read: int, late: Late) -> None:
        """The lines of some accounts, of so many that have been read. Whoever is named in two ways
        is one account."""
        found = find_all(groups)
        lines_of: dict[str, list[Waiting]] = {}
        for name, lines in groups.items():
            if name in found:
                lines_of.setdefault(found[name], []).extend(lines)
            else:
                wrong = f"account: there is no {name!r}"
                self._tell(lines, dict.fromkeys((line.number for line in lines), wrong), late)
        for account_id, lines in lines_of.items():
            ordered = sorted(lines)
            wrongs = store(account_id, map(_entry, ordered), dry_run=self.dry_run)
            self.good += len(lines) - len(wrongs)
            self._tell(ordered, wrongs, late)
            self.report.moved(self.good + self.report.bad, read)

    def _tell(self, lines: list[Waiting], wrongs: Wrong, late: Late) -> None:
        for line in lines:
            if wrong := wrongs.get(line.number):
                if isinstance(wrong, Orphan):
                    late.add(line, wrong)
                else:
                    self.report(line.number, wrong)


def _entry(line: Waiting) -> Entry:
    value = orjson.loads(line.text)
    return Entry(line.number, value["table"], value["record"])
