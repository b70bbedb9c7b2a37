"""One driver for every server that speaks the contract; plain sockets, requests made beforehand.

What a server answers is checked: a pushed set comes back whole and equal, field by field (in the
warm-ups), as many records in every repeat, and the changed ones of an incremental pull, each.
"""

from benchmarks.driver.loop import Client, closed_loop
from benchmarks.driver.measure import machine, measure, remarks, result, show
from benchmarks.driver.records import (
    PASSWORD,
    Account,
    changes,
    edited,
    new_project,
    new_task,
)
from benchmarks.driver.scenarios import (
    Flow,
    Idle,
    IdleAlone,
    Incremental,
    Logins,
    Scenario,
    SmallPush,
)
from benchmarks.driver.server import Server

__all__ = [
    "PASSWORD",
    "Account",
    "Client",
    "Flow",
    "Idle",
    "IdleAlone",
    "Incremental",
    "Logins",
    "Scenario",
    "Server",
    "SmallPush",
    "changes",
    "closed_loop",
    "edited",
    "machine",
    "measure",
    "new_project",
    "new_task",
    "remarks",
    "result",
    "show",
]
