"""The live process where people share: who is told of what in a shared space."""

from collections.abc import Iterator
from typing import Any

import pytest
from devices import created, edited, project, updated
from living import Live, Person
from servers import Server, serving

pytest_plugins = ["live_fixtures"]

LONG = 10  # s: it comes, however slow the machine is
NEVER = 0.8  # s: long enough for what would come at once


@pytest.fixture(scope="module", params=["sqlite", "mariadb+redis"])
def server(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Server]:
    folder, app = tmp_path_factory.mktemp("live"), "tests.shared_app"
    with serving(request.param, folder, workers=1, MELON_APP=app) as server:
        yield server


@pytest.fixture
def bob(server: Server) -> Person:
    return Person(server)


@pytest.fixture
def space(ada: Person) -> str:
    """Ada's."""
    made = ada.first.call("POST", "/spaces", {"name": "Home"})[1]["id"]
    ada.first.pull()
    return str(made)


def bring(ada: Person, space: str, person: Person, role: str = "editor") -> None:
    path = f"/spaces/{space}/invitations"
    token = ada.first.call("POST", path, {"role": role})[1]["token"]
    assert person.first.call("POST", "/spaces/join", {"token": token})[0] == 200


def give(ada: Person, space: str, person: Person, role: str) -> None:
    path = f"/spaces/{space}/members/{person.id}"
    assert ada.first.call("PATCH", path, {"role": role})[0] == 200


def remove(ada: Person, space: str, person: Person) -> None:
    assert ada.first.call("DELETE", f"/spaces/{space}/members/{person.id}")[0] == 204


def test_members_are_told_and_nobody_else(live: Live, ada: Person, bob: Person, space: str) -> None:
    """Contract, Live 1: and not the phone that pushed; where there is no Redis that one may pull
    once in vain, as a space's clock does not say whose push it was."""
    bring(ada, space, bob)
    eve, tablet = Person(ada.server), ada.phone()
    phones = (ada.first, tablet, bob.first, eve.first)
    for phone in phones:
        phone.pull()
    mine, other, bobs, eves = (phone.listen(live).head() for phone in phones)
    with mine, other, bobs, eves:
        ada.first.push(projects=created(project(space_id=space)))
        assert bobs.news(LONG)
        assert other.news(LONG)
        assert not eves.news(NEVER)
        assert not ada.server.environ.get("REDIS_URL") or not mine.news(0)
    assert len(bob.first.pull()["projects"]["created"]) == 1


def test_who_joins_is_told_of_what_is_there_and_of_what_comes(
    live: Live, ada: Person, bob: Person, space: str
) -> None:
    """Contract, Live 1; Spaces 3: while it listens."""
    ada.first.push(projects=created(project(space_id=space)))
    bob.first.pull()
    with bob.first.listen(live).head() as stream:
        bring(ada, space, bob)
        assert stream.news(LONG)
        bob.first.pull()
        while stream.news(NEVER):  # of the same
            pass
        ada.first.push(projects=created(project(space_id=space)))
        assert stream.news(LONG)


def test_who_is_removed_is_told_once_and_hears_no_more(
    live: Live, ada: Person, bob: Person, space: str
) -> None:
    """Contract, Live 1; Spaces 3."""
    ada.first.push(projects=created(project(space_id=space)))
    bring(ada, space, bob)
    bob.first.pull()
    with bob.first.listen(live).head() as stream:
        assert not stream.news(NEVER)
        remove(ada, space, bob)
        assert stream.news(LONG)
        assert len(bob.first.pull()["projects"]["deleted"]) == 1
        while stream.news(NEVER):  # of the same
            pass
        ada.first.push(projects=created(project(space_id=space)))
        assert not stream.news(NEVER)


def test_what_the_server_refused_of_a_push_is_told_to_its_phone(
    live: Live, ada: Person, bob: Person, space: str
) -> None:
    """Contract, Live 1; Spaces 5: a reader's edit, which it is told again as the server has it."""
    home = project(space_id=space)
    ada.first.push(projects=created(home))
    bring(ada, space, bob)
    bob.first.pull()
    give(ada, space, bob, "reader")
    bob.first.pull()
    with bob.first.listen(live).head() as stream:
        assert not stream.news(NEVER)
        assert bob.first.push(projects=updated(edited(home, name="Bob's"))) is None
        assert stream.news(LONG)
    (told,) = bob.first.pull()["projects"]["updated"]
    assert told["name"] == home["name"]
