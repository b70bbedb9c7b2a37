"""Two live phones with one `device_id`, as one restored from the other's backup has it (contract,
Accounts 4): nothing of either is lost."""

import pytest
from devices import Account, Device, created, deleted, edited, project, updated


@pytest.fixture
def twins(account: Account) -> tuple[Device, Device]:
    """Signed in apart, with the same records and the same lastPulledAt."""
    one, two = (account.device(device_id="restored") for _ in range(2))
    one.pull()
    two.pulled_at = one.pulled_at
    return one, two


def with_home(twins: tuple[Device, Device]) -> dict[str, object]:
    home = project()
    twins[0].push(projects=created(home))
    for phone in twins:
        phone.pull()
    return home


def test_edits_of_twins_merge(twins: tuple[Device, Device]) -> None:
    """Contract push 3: another session is another device."""
    one, two = twins
    home = with_home(twins)
    one.push(projects=updated(edited(home, name="One")))
    two.push(projects=updated(edited(home, description="Two")))
    (record,) = two.records("projects").values()
    assert (record["name"], record["description"]) == ("One", "Two")


def test_twins_are_refused_what_cannot_be_merged(twins: tuple[Device, Device]) -> None:
    """Contract push 3: neither overwrites the other with a creation that is sent again."""
    one, two = twins
    home = with_home(twins)
    one.push(projects=updated(edited(home, name="One")))
    assert two.ask_push({"projects": created(home | {"name": "Two"})}).status_code == 409


def test_a_twin_is_not_up_to_date_by_the_others_push(twins: tuple[Device, Device]) -> None:
    """Contract push 7: or it would never learn what the other one has pushed."""
    one, two = twins
    first, second = project(), project()
    assert one.push(projects=created(first)) is not None
    assert two.push(projects=created(second)) is None
    assert {p["id"] for p in two.pull()["projects"]["updated"]} == {first["id"], second["id"]}


def test_a_deletion_of_one_twin_is_told_to_the_other(twins: tuple[Device, Device]) -> None:
    """Contract push 3 and 7, with descendants."""
    one, two = twins
    home = with_home(twins)
    one.push(projects=deleted(home["id"]))
    assert two.push(projects=updated(edited(home, name="Two"))) is None
    assert two.pull()["projects"] == deleted(home["id"])
