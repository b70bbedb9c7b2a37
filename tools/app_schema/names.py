"""What tables and columns are called in TypeScript: `is_completed` is `isCompleted`."""

import re
from collections.abc import Iterable


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What a record has already (WatermelonDB 0.28's Model, and every object in JavaScript): a column's
# property of that name would break it.
MEMBERS = _words(
    """
    asModel batch callReader callWriter collection collections database db
    experimentalDestroyPermanently experimentalMarkAsDeleted experimentalSubscribe
    destroyPermanently id markAsDeleted observe prepareDestroyPermanently
    prepareMarkAsDeleted prepareUpdate subAction syncStatus table update constructor
    hasOwnProperty isPrototypeOf propertyIsEnumerable toLocaleString toString valueOf then
    """
)
# What a printed module uses itself, and words that name no class.
TAKEN = _words(
    """
    Associations Database Date Model Object Observable Omit OptionalRelation Parameters
    Promise Q Query Relation associations children date field modelClasses readonly
    relation text migrations schema arguments await break case catch class const continue
    debugger default delete do else enum eval export extends false finally for function if
    implements import in instanceof interface let new null package private protected
    public return static super switch this throw true try typeof undefined var void while
    with yield any bigint boolean never number object string symbol unknown index
    """
)


def camel(name: str) -> str:
    """A column's name as a property's: `project_id` is `projectId`; `_` and `_1` stay."""
    first, *more = [part for part in name.split("_") if part] or [""]
    if not first[:1].isalpha():
        return name
    return first[0].lower() + first[1:] + "".join(part[0].upper() + part[1:] for part in more)


def without_id(name: str) -> str:
    """A reference's name as what it refers to: `project_id` is `project`."""
    return camel(re.sub(r"_(id|key)\Z", "", name)) if "_" in name else f"{name}Record"


class Scope:
    """Names that are told apart; a taken one gets the next word, or more of them, behind it."""

    def __init__(self, taken: Iterable[str] = (), *, folding: bool = False) -> None:
        self._fold = str.lower if folding else str  # some file systems know no case
        self._taken = {self._fold(name) for name in taken}

    def give(self, name: str, behind: str) -> str:
        while self._fold(name) in self._taken:
            name += behind
        self._taken.add(self._fold(name))
        return name
