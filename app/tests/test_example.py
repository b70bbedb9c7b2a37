"""The example's tables sync, and the demo account has some records."""

from devices import Account, created, project, task
from flask import Flask


def test_a_phone_pushes_and_another_pulls(app: Flask) -> None:
    ada = Account(app)
    home = project(name="Home")
    ada.first.push(projects=created(home), tasks=created(task(home["id"], title="Paint")))
    pulled = ada.device().pull()
    assert [one["name"] for one in pulled["projects"]["created"]] == ["Home"]
    assert [one["title"] for one in pulled["tasks"]["created"]] == ["Paint"]


def test_the_demo_account_has_some(app: Flask) -> None:
    done = app.test_cli_runner().invoke(args=["seed", "--records", "20"])
    assert done.exit_code == 0, done.output
    assert "5 projects and 20 tasks" in done.output
