"""Which functions of the app are asked before a push is stored."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Table

from melon_api.logic.records import Changes
from melon_api.models.synced import is_synced
from melon_api.sync.rules.pushed import PushedTable
from melon_api.sync.rules.tables import SyncedTable, Tables

F = TypeVar("F", bound=Callable[[Changes], None])


@dataclass(frozen=True)
class Rule:
    """`name`: of the function, with its module."""

    name: str
    check: Callable[[Changes], None]


rules: dict[Table, list[Rule]] = {}  # in the order in which they were written


def before_push(model: type[Any]) -> Callable[[F], F]:
    """Have a function asked before a push is stored, in its transaction, with all that the push
    does to records of `model` (docs/your-code.md). Raises TypeError for what does not sync."""
    if not is_synced(model):
        raise TypeError(f"before_push(…) wants a model that syncs, not {model!r}")

    def register(check: F) -> F:
        name = f"{check.__module__}.{check.__qualname__}"
        rules.setdefault(model.__table__, []).append(Rule(name, check))
        return check

    return register


def rules_of(table: SyncedTable) -> list[Rule]:
    return rules.get(table.table, [])


def watched(tables: Tables) -> set[str]:
    """The tables that have a rule, and those whose deletions reach one of them."""
    found: set[str] = set()
    for name, table in reversed(tables.items()):
        if name in found or rules_of(table):
            found |= {name} | {p.table for p in table.parents if p.on_delete != "keep"}
    return found


def concerns(pushed: Iterable[PushedTable], watched: Collection[str]) -> bool:
    """Whether a push may be any rule's business."""
    return any(
        (rules_of(part.table) and (part.records or part.deletions))
        or (
            part.table.name in watched and (part.deletions or (part.table.parents and part.records))
        )
        for part in pushed
    )
