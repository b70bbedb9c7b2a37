"""Each device at another node of a real Galera cluster, every node taking writes: no change is
missed, no acknowledged edit is lost, also through the death of a node and its return.
"""

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import REDIS
from devices import PASSWORD, created, edited, project, updated
from galera import Galera, galera, three_hosts
from phones import Person, Phone, call
from race import run_races
from servers import Server
from test_races import columnists_at_once

PATIENCE_SECONDS = 60
SECONDS = float(os.environ.get("FIRE_SECONDS", "3"))


@pytest.fixture(scope="module")
def nodes() -> Iterator[Galera]:
    with galera() as cluster:
        yield cluster


@pytest.fixture(scope="module", params=["", "+redis"])
def hosts(
    nodes: Galera, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Server]]:
    more = {"REDIS_URL": REDIS} if request.param else {}
    with three_hosts(nodes, tmp_path_factory.mktemp("galera"), **more) as servers:
        yield servers


def test_what_one_node_acknowledged_every_node_knows(hosts: list[Server]) -> None:
    """Contract pull 1, push 1 and Accounts 5: at once."""
    urls = [host.url for host in hosts]
    person = Person(urls[0])
    writer, readers = person.phone(), [Phone(person.phone().token, url) for url in urls]
    for turn in range(12):
        writer = Phone(writer.token, urls[turn % 3])
        home = project(id=f"p{turn}")
        writer.push(projects=created(home))
        for reader in readers[:: -1 if turn % 2 else 1]:
            reader.pull()
            assert ("projects", home["id"]) in reader.records
        writer.push(projects=updated(edited(home, name=f"{turn}")))
        readers[turn % 2].pull()
        assert readers[turn % 2].records["projects", home["id"]]["name"] == f"{turn}"
        token = person.phone().token
        assert call(urls[(turn + 1) % 3], "/sync/pull", {}, token)[0] == 200
        assert call(urls[turn % 3], "/auth/logout", {}, token)[0] == 204
        assert call(urls[(turn + 1) % 3], "/sync/pull", {}, token)[0] == 401


def test_no_change_is_missed_with_each_call_at_another_node(hosts: list[Server]) -> None:
    """Contract pull 1, 3 and 6, push 1, 4, 7 and 11."""
    run_races(SECONDS, *(host.url for host in hosts))


def test_no_acknowledged_edit_is_lost_with_each_device_at_another_node(
    hosts: list[Server],
) -> None:
    """Contract push 1 and 3."""
    columnists_at_once(*(host.url for host in hosts))


class Patient(Phone):
    """Goes to the next host when one says that its database is away (contract, Errors 6)."""

    def ask(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            status, answer = super().ask(path, body)
            assert status < 500 or answer["code"] in ("unavailable", "internal_error"), answer
            if status < 500 or time.monotonic() > deadline:
                return status, answer


@pytest.mark.parametrize("hosts", ["+redis"], indirect=True, scope="module")
def test_a_node_dies_and_comes_back(hosts: list[Server], nodes: Galera) -> None:
    """Contract pull 1, push 1 and Errors 6: whoever meets the dead node tries again, at another."""
    met: list[Any] = []

    def story() -> None:
        nodes.kill(2)
        body = {"email": "nobody@example.com", "password": PASSWORD}
        met.append(call(hosts[2].url, "/auth/login", body)[0])
        nodes.mend()

    run_races(SECONDS, *(host.url for host in hosts), halfway=story, kind=Patient)
    assert met == [503]
