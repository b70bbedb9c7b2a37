"""Records of one account, stored through the same pipeline as a push's, some at a time."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from flask import current_app

from melon_api.errors import NotFound, OutcomeUnknown, Refused, Unavailable
from melon_api.loading.order import parents_first
from melon_api.models.base import Base
from melon_api.refusals import NoSuchParent, places
from melon_api.storage.transactions import retrying
from melon_api.sync.discovery import synced_tables

if TYPE_CHECKING:
    from melon_api.logic.account import Account

CHANGES = "melon_changes"  # in the application's extensions: the door, logic/writes.py
MOST_RECORDS = 1_000  # of a transaction: the account's phones wait for no more
ROUNDS, DRY_ROUNDS = 1, 20
ATTEMPTS = 3
GONE = "it is deleted here, or what it belongs to is, and stays so"

T = TypeVar("T")
Wrong = dict[int, str]  # by the line's number


class Orphan(str):
    """What is wrong with a record whose parent is not there, or not yet."""


class Entry(NamedTuple):
    """A record of a line; `table` is the phone's name."""

    number: int
    table: str
    record: dict[str, Any]


def store(account_id: str, entries: Iterable[Entry], *, dry_run: bool = False) -> Wrong:
    """Store the records that can be, parents first; what is wrong with the others."""
    ordered, wrong = parents_first(synced_tables(), entries), Wrong()
    if dry_run:  # in one, as what another one would store is not there
        return _store_some(account_id, ordered, True, DRY_ROUNDS)
    for start in range(0, len(ordered), MOST_RECORDS):
        wrong |= _store_some(account_id, ordered[start : start + MOST_RECORDS], False, ROUNDS)
    return wrong


def _store_some(account_id: str, some: list[Entry], dry_run: bool, rounds: int) -> Wrong:
    """In one transaction. Where a rule of the app refuses records the others are tried again, after
    so many rounds in two halves: a rule that refuses one at a time would take quadratic time."""
    if not some:
        return {}
    try:
        return steadily(partial(_attempt, account_id, some, dry_run))
    except NotFound as error:
        return {entry.number: error.detail for entry in some}
    except Refused as refused:
        wrong = _refused(some, refused.errors or {})
    rest = [entry for entry in some if entry.number not in wrong]
    half = len(rest) // 2
    for part in [rest] if rounds and wrong else [rest[:half], rest[half:]]:
        wrong |= _store_some(account_id, part, dry_run, rounds - 1 if rounds else 0)
    return wrong


def _refused(some: list[Entry], errors: Mapping[str, Any]) -> Wrong:
    """What the rules said, by line; of one record alone, whatever it was said of."""
    wrong = {
        entry.number: "; ".join(places({"record": errors[entry.table][entry.record["id"]]}))
        for entry in some
        if entry.record["id"] in errors.get(entry.table, {})
    }
    return wrong or ({some[0].number: "; ".join(places(errors))} if len(some) == 1 else {})


def _attempt(account_id: str, some: list[Entry], dry_run: bool) -> Wrong:
    wrong, changes = Wrong(), current_app.extensions[CHANGES]
    with changes(account_id, dry_run=dry_run) as account:
        _look_up(account, some)
        for number, table, record in some:
            try:
                if not account.save(model_of(table), record):
                    wrong[number] = GONE
            except NoSuchParent as error:
                wrong[number] = Orphan(error)
            except ValueError as error:
                wrong[number] = str(error)
    return wrong


def _look_up(account: Account, some: list[Entry]) -> None:
    """All that will be asked for, with a statement for each table."""
    wanted: dict[str, set[str]] = {}
    for _, name, record in some:
        wanted.setdefault(name, set()).add(record["id"])
        for parent in synced_tables()[name].parents:
            named = record.get(parent.column)
            if isinstance(named, str):
                wanted.setdefault(parent.table, set()).add(named)
    for name, ids in wanted.items():
        account.get(model_of(name), ids)


@functools.cache
def model_of(name: str) -> type[Any]:
    table = synced_tables()[name].table
    found: Iterator[type[Any]] = (
        mapper.class_ for mapper in Base.registry.mappers if mapper.local_table is table
    )
    return next(found)


def steadily(work: Callable[[], T]) -> T:
    """What came to nothing is done again, and so is what may have been stored: twice is once."""
    for _ in range(ATTEMPTS - 1):
        try:
            return retrying(work)
        except (OutcomeUnknown, Unavailable):
            continue
    return retrying(work)
