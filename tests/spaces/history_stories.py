"""What the history tells of who shares, on tables that are shared: run by
tests/support/test_shared_history.py, in a process of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from devices import Account, created, edited, project, task, updated
from flask import Flask
from helped import calls, keeping
from sharing import bring, create, give, remove

from melon_api.history import keeper as keepers


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    monkeypatch.setattr(keepers, "PAUSE_SECONDS", 3600)
    with keeping("sqlite", tmp_path) as app:
        yield app


def test_who_is_out_was_told_deletions_that_nobody_pushed(app: Flask) -> None:
    """docs/troubleshooting.md: a space that they are in no more."""
    ada, bob = Account(app), Account(app)
    space = create(ada)["id"]
    bring(ada, space, bob)
    home = project(space_id=space)
    ada.first.push(projects=created(home), tasks=created(task(home["id"])))
    phone = bob.device(device_name="Phone")
    phone.pull()
    remove(ada, space, bob)
    phone.pull()
    assert calls(app, bob.email) == [
        "TIME  Phone  pull  was told all: projects 1 created; tasks 1 created",
        "TIME  Phone  pull  was told: projects 1 deleted; tasks 1 deleted",
    ]


def test_what_a_reader_may_not_is_not_stored(app: Flask) -> None:
    """Although the push is no error (contract, Spaces 5): the history says so."""
    ada, bob = Account(app), Account(app)
    space = create(ada)["id"]
    bring(ada, space, bob)
    give(ada, space, bob, "reader")
    home = project(space_id=space)
    ada.first.push(projects=created(home))
    phone = bob.device(device_name="Phone")
    phone.pull()
    phone.push(projects=updated(edited(home, name="mine")))
    assert calls(app, bob.email)[-1] == (
        "TIME  Phone  push  stored in part: projects 1 updated; NOT STORED: 1 forbidden"
    )
