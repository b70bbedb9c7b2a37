"""The rules of the app in a push: the one door by which the engine comes in here."""

import logging
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from dataclasses import replace

from flask import Flask
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from melon_api.auth.accounts import Caller
from melon_api.logic import alterations, cascade, registry
from melon_api.logic.account import Account
from melon_api.logic.desk import Desk
from melon_api.logic.records import Changes
from melon_api.logic.registry import Rule
from melon_api.storage.transactions import is_outage
from melon_api.sync.discovery import synced_tables
from melon_api.sync.rules.history import RecordKey
from melon_api.sync.rules.merge import Merge
from melon_api.sync.rules.problems import Messages, Place
from melon_api.sync.rules.pushed import PushedTable, PushRequest
from melon_api.sync.rules.settings import RULES
from melon_api.sync.rules.tables import OWN, SHARED, SyncedTable

log = logging.getLogger(__name__)

# With allowPartial: records that rules are asked about in all rounds, and rounds in any case
MOST_ASKED, FEWEST_ROUNDS = 100_000, 20
TOO_MANY_ROUNDS = "it refuses a few records of many at a time; refuse all that is wrong at once"

Refusals = list[tuple[Place, Messages]]
# The accounts that are locked here: a second transaction would wait for the first for ever.
held: ContextVar[frozenset[str]] = ContextVar("held", default=frozenset())


class RuleError(Exception):
    """A rule of the app failed; the cause is its own exception."""


def init_app(app: Flask) -> None:
    app.extensions[RULES] = Rules()


class Rules:
    """All that are registered in this process; the engine's `RulesOfTheApp`."""

    def watch(self, tables: Iterable[str]) -> bool:
        """Whether a push to these tables may be any rule's business, whatever it holds."""
        if not registry.rules:
            return False
        return not registry.watched(synced_tables()).isdisjoint(tables)

    def concern(self, pushed: list[PushedTable]) -> bool:
        """Whether a push may be any rule's business."""
        return bool(registry.rules) and registry.concerns(pushed, registry.watched(synced_tables()))

    def merge(
        self,
        connection: Connection,
        caller: Caller,
        request: PushRequest,
        pushed: list[PushedTable],
        new_merge: Callable[[list[PushedTable]], Merge],
        space: str | None = None,
    ) -> Merge:
        """A push, or what of it goes into a shared space, merged and ruled; what is refused is
        among the problems of the result.

        With allowPartial what is refused is taken out, and all begins anew without it: so no rule
        ever counts, numbers or changes something for a record that is not stored."""
        refused: Refusals = []
        for _ in range(_most_rounds(pushed)):
            whose = space or caller.user_id
            desk = self._attempt(connection, whose, pushed, new_merge(pushed), refused)
            desk.reach = SHARED if space else OWN
            savepoint = connection.begin_nested() if request.allow_partial else None
            session_id, version = caller.session_id or None, request.app_version
            ask_all(desk, Account(desk, session_id, version, caller.user_id))
            if savepoint is None or not desk.refused:
                done = _done(desk)
                if savepoint is not None:
                    savepoint.commit()
                return done
            savepoint.rollback()
            refused += desk.refused
            keys: set[RecordKey] = {(place.table, place.id) for place, _ in refused}
            pushed = [part.without(keys) for part in pushed]
        raise RuleError(f"{_names(refused[-1][0].table)}: {TOO_MANY_ROUNDS}")

    def _attempt(
        self,
        connection: Connection,
        account_id: str,
        pushed: list[PushedTable],
        merge: Merge,
        refused: Refusals,
    ) -> Desk:
        """The engine's part of it: merged, without what was refused before."""
        for place, messages in refused:
            merge.problems.refuse(place, messages)
        if not merge.history.up_to_date:  # else all of its pushes were stored as sent
            known = alterations.read(connection, account_id, merge.history)
            merge.history = replace(merge.history, altered=known)
        desk = Desk(connection, account_id, synced_tables(), merge, pushed)
        merge.apply(pushed)
        return desk


def _most_rounds(pushed: list[PushedTable]) -> int:
    """However many a small push wants: a rule may refuse its records one at a time."""
    size = sum(len(part.records) + len(part.deletions) for part in pushed)
    return max(FEWEST_ROUNDS, MOST_ASKED // max(size, 1))


def _names(table: str) -> str:
    return ", ".join(rule.name for rule in registry.rules_of(synced_tables()[table]))


def ask_all(desk: Desk, account: Account) -> None:
    """Each rule once, with what the ones before it have left; parents before children. What a rule
    deletes takes along what belongs to it, before the next one is asked."""
    locked = {desk.user_id, account.member_id or desk.user_id}
    token = held.set(held.get() | locked)
    try:
        _ask_all(desk, account)
    finally:
        held.reset(token)


def _ask_all(desk: Desk, account: Account) -> None:
    watched = registry.watched(desk.tables)
    reached: list[SyncedTable] = []
    for name, table in desk.tables.items():
        reached += [table] if name in watched else []
        _follow(desk, reached)
        for rule in registry.rules_of(table):
            if changes := account.changes(table):
                _ask(rule, changes, desk)
                _follow(desk, reached)


def _follow(desk: Desk, tables: list[SyncedTable]) -> None:
    for table in tables:
        cascade.follow(desk, table)


def _ask(rule: Rule, changes: Changes, desk: Desk) -> None:
    try:
        rule.check(changes)
        desk.raise_outage()
    except DBAPIError as error:  # the transaction is tried again, or its message is for nobody
        if not is_outage(error):
            log.error("the rule %s failed: %s", rule.name, type(error).__name__)  # noqa: TRY400
        raise
    except (Exception, SystemExit) as error:
        raise RuleError(f"the rule {rule.name} failed; nothing was stored") from error


def _done(desk: Desk) -> Merge:
    merge = desk.merge
    for place, messages in desk.refused:
        merge.problems.refuse(place, messages)
    if desk.is_changed:
        merge.as_sent = False
    alterations.write(desk.connection, desk.user_id, merge, desk.alterations())
    return merge
