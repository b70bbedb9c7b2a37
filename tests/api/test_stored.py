"""The stored rows that a push is compared with are those that were written (sync/sql/rows)."""

import pytest
from devices import Account, Device, bare, created, edited, project, task, updated
from test_reading import cut_at, odd_records

from melon_api.sync.sql.rows import FEW, IDS_PER_STATEMENT


def clock(phone: Device) -> int:
    return int(phone.ask_pull(None).json["timestamp"])


def test_odd_values_are_read_as_they_were_pushed(account: Account) -> None:
    """Contract push 1: a push repeated changes nothing, whatever it holds."""
    phone = account.first
    homes, tasks = odd_records()
    phone.push(projects=created(*homes), tasks=created(*tasks))
    before = clock(phone)
    phone.push(projects=created(*homes), tasks=created(*tasks))
    for start in range(0, len(homes), FEW):
        phone.push(projects=created(*homes[start : start + FEW]))
    for start in range(0, len(tasks), FEW):
        phone.push(tasks=created(*tasks[start : start + FEW - 1]))
    assert clock(phone) == before
    phone.push(tasks=updated({**tasks[0], "title": "something else"}))
    assert clock(phone) > before


@pytest.mark.parametrize("octets", [4, 100, 300, 1000, 10_000])
def test_rows_that_the_database_cut_are_read_again(account: Account, octets: int) -> None:
    """Contract push 3: columns that were not sent or named are kept, wherever a server cuts."""
    phone, home = account.first, project()
    tasks = [task(home["id"], title=f"}}\n{i}", description="\n") for i in range(FEW)]
    phone.push(projects=created(home), tasks=created(*tasks))
    tablet = account.device()
    tablet.pull()
    with cut_at(account.app, octets):
        before = clock(phone)
        phone.push(projects=created(home), tasks=created(*tasks))
        assert clock(phone) == before
        phone.push(tasks=updated(*(edited(t, title="new") for t in tasks)))
        tablet.push(tasks=updated(*(edited(t, description="theirs") for t in tasks)))
    wanted = {t["id"]: {**bare(t), "title": "new", "description": "theirs"} for t in tasks}
    assert phone.records("tasks") == wanted


def test_more_rows_than_one_statement_asks_for(account: Account) -> None:
    phone, home = account.first, project()
    tasks = [task(home["id"], id=f"t{i}") for i in range(IDS_PER_STATEMENT + 1)]
    phone.push(projects=created(home), tasks=created(*tasks))
    before = clock(phone)
    phone.push(projects=created(home), tasks=created(*tasks))
    assert clock(phone) == before
