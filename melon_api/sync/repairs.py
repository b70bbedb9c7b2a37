"""What pushes had put right (contract push 5) is counted and told: phones are not told of it.

Of each column the log has one line an hour in a process, with no value; the counter has them all.
"""

import logging
import threading
from collections import Counter
from collections.abc import Iterable
from time import monotonic as now

from melon_api import measures
from melon_api.sync.rules.problems import Problems
from melon_api.sync.rules.pushed import PushedTable

log = logging.getLogger(__name__)

PAUSE_SECONDS = 3600
MOST_UNKNOWN, OTHERS = 100, "(others)"  # unknown columns have anybody's names: there is an end
LONGEST = 64  # characters of such a name

_lock = threading.Lock()
_unknown: set[tuple[str, str]] = set()  # that have a name here, for as long as the process lives
_told: dict[tuple[str, str], float] = {}  # when


def tell(pushed: Iterable[PushedTable], problems: Problems) -> None:
    """Of a push that is stored; what it could not store (contract push 6) had nothing put right."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for part in pushed:
        for record in part.records:
            if record.repairs and not problems.is_rejected(record.table, record.id):
                for column, why in record.repairs:
                    name = _named(record.table, column) if why == "unknown" else column
                    counts[record.table, name, why] += 1
    for (table, name, reason), count in counts.items():
        measures.repaired(table, name, reason, count)
        if _is_due(table, name):
            log.warning("put right in a push (%s): %s.%s", reason, table, name)


def _named(table: str, column: str) -> str:
    """How an unknown column is called: as ASCII, in one line; the 101st is one of the others."""
    place = (table, ascii(column[:LONGEST])[1:-1])
    with _lock:
        if len(_unknown) < MOST_UNKNOWN:
            _unknown.add(place)
        return place[1] if place in _unknown else OTHERS


def _is_due(table: str, column: str) -> bool:
    place, moment = (table, column), now()
    with _lock:
        is_due = place not in _told or moment - _told[place] >= PAUSE_SECONDS
        if is_due:
            _told[place] = moment
    return is_due
