"""Run inside a copy of the project that has the rules of docs/your-code.md: they do what it says.

Not collected by itself; `test_your_code.py` runs it there, on each database.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import environment, make_app
from devices import Account, Device, created, deleted, edited, new_id, project, task, updated
from flask import Flask
from receiver import receiving
from standardwebhooks.webhooks import Webhook as Signer

from app.models import Invoice
from melon_api.events.turns import Turns
from melon_api.logic import changes


@pytest.fixture
def account(app: Flask) -> Account:
    return Account(app)


def invoice(**values: Any) -> dict[str, Any]:
    record = {"id": new_id(), "number": 0, "amount": 100, "is_paid": False}
    return (
        record | {"created_at": 1, "updated_at": 2, "_status": "created", "_changed": ""} | values
    )


def numbers(phone: Device) -> list[int]:
    return sorted(one["number"] for one in phone.records("invoices").values())


def test_a_negative_amount_is_refused(account: Account) -> None:
    phone, bad = account.first, invoice(amount=-1)
    answer = phone.ask_push({"invoices": created(invoice(), bad)})
    assert (answer.status_code, answer.json["code"]) == (422, "refused")
    said = {"amount": ["An amount is not negative."]}
    assert answer.json["errors"] == {"changes": {"invoices": {"created": {"1": said}}}}
    assert numbers(phone) == []
    answer = phone.ask_push({"invoices": created(bad, invoice())}, allowPartial=True)
    assert answer.json["rejected"] == {"invoices": {bad["id"]: "refused"}}
    assert numbers(phone) == [1]


def test_only_the_server_says_what_is_paid(account: Account) -> None:
    phone, one = account.first, invoice(is_paid=True)
    assert phone.push(invoices=created(one)) is None
    phone.pull()
    phone.push(invoices=updated(edited(one, is_paid=True, number=7, amount=5)))
    (stored,) = phone.records("invoices").values()
    assert (stored["is_paid"], stored["number"], stored["amount"]) == (False, 1, 5)
    assert phone.pull()["invoices"]["updated"] == [stored]


def test_four_phones_at_once_get_numbers_without_gaps_or_doubles(account: Account) -> None:
    phones = [account.first, *(account.device() for _ in range(3))]

    def push(phone: Device) -> None:
        for at in range(8):
            good, bad = invoice(), invoice(amount=-1)
            phone.ask_push({"invoices": created(bad, good)}, allowPartial=at % 2 == 0)
            assert phone.ask_push({"invoices": created(good, invoice())}).status_code == 200

    with ThreadPoolExecutor(len(phones)) as pool:
        for done in [pool.submit(push, phone) for phone in phones]:
            done.result()
    assert numbers(account.first) == list(range(1, 4 * 8 * 2 + 1))
    gone = next(iter(account.first.records("invoices")))
    answer = account.first.ask_push({"invoices": deleted(gone)})
    assert answer.json["errors"]["changes"]["invoices"]["deleted"]["0"]
    for phone in phones:
        told = phone.pull()["invoices"]
        assert len({one["id"] for one in told["created"] + told["updated"]}) == 64


def test_the_101st_project_is_refused(account: Account) -> None:
    phone = account.first
    first = [project() for _ in range(99)]
    phone.push(projects=created(*first))
    two = project(), project()
    answer = phone.ask_push({"projects": created(*two)})
    assert list(answer.json["errors"]["changes"]["projects"]["created"]) == ["1"]
    phone.push(projects={**created(*two), "deleted": [first[0]["id"]]})
    answer = phone.ask_push({"projects": created(project())}, allowPartial=True)
    assert list(answer.json["rejected"]["projects"].values()) == ["refused"]
    assert len(phone.records("projects")) == 100


def test_a_project_is_copied_with_its_tasks(account: Account) -> None:
    phone, tablet, home = account.first, account.device(), project(name="Kitchen")
    tasks = [task(home["id"], title=title) for title in ("Paint", "Sand")]
    phone.push(projects=created(home), tasks=created(*tasks))
    tablet.pull()
    path, named = f"/projects/{home['id']}/copy", {"json": {"name": "Kitchen 2"}}
    answer = phone.call("POST", path, **named)
    assert answer.status_code == 201
    told = tablet.pull()
    assert [one["name"] for one in told["projects"]["created"]] == ["Kitchen 2"]
    assert sorted(one["title"] for one in told["tasks"]["created"]) == ["Paint", "Sand"]
    assert {one["project_id"] for one in told["tasks"]["created"]} == {answer.json["id"]}
    strangers = Account(account.app).first
    for wrong in (path, "/projects/nobody/copy", "/projects/é!/copy"):
        assert strangers.call("POST", wrong, **named).status_code == 404
    assert strangers.records("projects") == {}
    for body, place in (({}, "name"), ({"name": ""}, "name"), ({"name": "x", "id": "y"}, "id")):
        wrong = phone.call("POST", path, json=body)
        assert (wrong.status_code, list(wrong.json["errors"])) == (422, [place])
    assert phone.call("POST", path, token="nobody's", **named).status_code == 401
    assert len(phone.records("projects")) == 2
    call = account.app.test_client().get("/openapi.json").json["paths"]
    described = call["/api/v1/projects/{project_id}/copy"]["post"]
    assert described["summary"] == "Copy a project with its tasks"
    assert {"201", "401", "422"} <= set(described["responses"])
    phone.call("POST", "/auth/logout")
    assert phone.call("POST", path, **named).json["code"] == "token_revoked"


def test_the_eleventh_copy_in_a_minute_waits(tmp_path: Path) -> None:
    """Of one account; another one's is its own business."""
    url = f"sqlite:///{tmp_path}/limits.db"
    app = make_app(environment("sqlite", url, RATELIMIT_ENABLED="true"), tmp_path)
    one, other, home = Account(app).first, Account(app).first, project()
    one.push(projects=created(home))
    path, named = f"/projects/{home['id']}/copy", {"json": {"name": "Copy"}}
    statuses = [one.call("POST", path, **named).status_code for _ in range(11)]
    assert statuses == [201] * 10 + [429]
    assert other.call("POST", path, **named).status_code == 404


PAID = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_a_payment_is_stored_once(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who signs it is believed; the same event again changes nothing."""
    monkeypatch.setenv("PAYMENT_SECRET", PAID)
    phone, one = account.first, invoice()
    phone.push(invoices=created(one))
    told = {"account_id": account.user["id"], "invoice_id": one["id"], "amount": 100}

    def tell(body: Any, secret: str = PAID, event_id: str = "msg_1") -> Any:
        text, now = json.dumps(body), datetime.now(UTC)
        headers = {
            "webhook-id": event_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Signer(secret).sign(event_id, now, text),
        }
        return account.app.test_client().post("/api/v1/payments", data=text, headers=headers)

    assert tell(told).status_code == 200
    phone.pull()
    clock = phone.pulled_at
    assert tell(told).status_code == 200
    (stored,) = phone.records("payments").values()
    assert (stored["id"], stored["invoice_id"], stored["amount"]) == ("msg_1", one["id"], 100)
    phone.pull()
    assert phone.pulled_at == clock
    assert tell(told, event_id="msg_2").status_code == 200
    wrong = tell(told, secret=PAID.replace("Mf", "Mg"), event_id="msg_3")
    assert (wrong.status_code, wrong.json["code"]) == (401, "token_invalid")
    assert account.app.test_client().post("/api/v1/payments", json=told).status_code == 401
    assert tell({**told, "amount": "x"}, event_id="msg_4").json["errors"] == {
        "amount": ["Not a valid integer."]
    }
    stranger = Account(account.app)
    for other in ({"account_id": stranger.user["id"]}, {"account_id": "nobody"}):
        assert tell({**told, **other}, event_id="msg_5").status_code == 404
    assert sorted(phone.records("payments")) == ["msg_1", "msg_2"]
    assert stranger.first.records("payments") == {}


def test_the_bookkeeper_is_told_what_is_paid(
    account: Account, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone, one, two = account.first, invoice(), invoice()
    phone.push(invoices=created(one, two))
    with receiving() as bookkeeper:
        monkeypatch.setenv("BOOKKEEPER_URL", bookkeeper.url)
        app.test_cli_runner().invoke(args=["events", "retry", "--all"])
        Turns(app).drain()  # with what other tests have left
        ours = {one["id"], two["id"]}
        assert not [body for _, body in bookkeeper.got if json.loads(body)["id"] in ours]
        bookkeeper.got.clear()
        bookkeeper.answers = [503, 422]
        for paid in (one, two):
            with app.app_context(), changes(account.user["id"]) as mine:
                mine.save(Invoice, {"id": paid["id"], "is_paid": True})
        Turns(app).drain()
        assert len(bookkeeper.got) == 1, "the second waits behind the first"
        assert app.test_cli_runner().invoke(args=["events", "retry", "--all"]).exit_code == 0
        Turns(app).drain()
    told = [
        (headers["idempotency-key"], json.loads(body)["id"]) for headers, body in bookkeeper.got
    ]
    assert told == [(f"paid-{i}", i) for i in (one["id"], one["id"], two["id"])]
    listed = app.test_cli_runner().invoke(args=["events", "list"]).output
    mine = [line for line in listed.splitlines() if account.user["id"] in line]
    assert len(mine) == 2
    assert all("GiveUp: The bookkeeper will never take it." in line for line in mine)


def test_a_job_writes_back_and_wakes_itself_no_more(account: Account, app: Flask) -> None:
    phone, home = account.first, project()
    bare, said = task(home["id"], description=None), task(home["id"], description="Mine")
    phone.push(projects=created(home), tasks=created(bare, said))
    phone.pull()
    for _ in range(2):
        Turns(app).drain()
    told = phone.pull()["tasks"]["updated"]
    assert [one["id"] for one in told] == [bare["id"]]
    assert told[0]["description"].startswith("Added at ")
    assert phone.pull()["tasks"]["updated"] == []


def test_a_job_for_all_accounts_can_go_on_and_run_twice(account: Account, app: Flask) -> None:
    owing, clear = account, Account(app)
    for one in (owing, clear):
        one.first.push(invoices=created(invoice()))
        one.first.pull()
    (paid,) = clear.first.records("invoices").values()
    with app.app_context(), changes(clear.user["id"]) as mine:
        mine.save(Invoice, {"id": paid["id"], "is_paid": True})
    assert clear.first.pull()["invoices"]["updated"] == [paid | {"is_paid": True}]
    for _ in range(2):
        done = app.test_cli_runner().invoke(args=["work", "remind"])
        assert done.exit_code == 0, done.output
        assert {owing.user["id"], clear.user["id"]} <= set(done.output.splitlines())
    assert list(owing.first.records("tasks")) == ["remind"]
    assert clear.first.records("tasks") == {}
    last = max(done.output.splitlines())
    assert app.test_cli_runner().invoke(args=["work", "remind", "--after", last]).output == ""


def test_what_a_rule_keeps_up_to_date_comes_to_every_phone(account: Account) -> None:
    phone, tablet = account.first, account.device()
    for device in (phone, tablet):
        device.pull()
    phone.push(invoices=created(invoice()))
    for device in (phone, tablet):
        assert [one["id"] for one in device.pull()["projects"]["created"]] == ["invoices"]
    phone.push(invoices=created(invoice()))
    assert phone.pull()["projects"] == {"created": [], "updated": [], "deleted": []}
