"""What stops the start, of webhooks."""

from pathlib import Path
from typing import Any

import pytest
from conftest import environment

import config as settings
from environ import ConfigError
from melon_api import create_app
from melon_api.events.webhooks.webhook import Webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BAD_SECRETS = ["", "whsec_", "whsec_short", SECRET.removeprefix("whsec_"), f"{SECRET} {SECRET}"]


def loaded(tmp_path: Path, **environ: str) -> Any:
    url = f"sqlite:///{tmp_path}/w.db"
    return settings.load(environment("sqlite", url, **environ), tmp_path)


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("https://hooks.example.com/melon?key=1", "false"),
        ("https://[2606:4700::1111]:8443/", "false"),
        ("http://127.0.0.1:9000/hook", "true"),
        ("https://localhost/", "true"),
    ],
)
def test_good_addresses_are_taken(tmp_path: Path, url: str, loopback: str) -> None:
    more = {"WEBHOOK_SECRET": SECRET, "WEBHOOK_ALLOW_LOOPBACK": loopback}
    assert [url] == loaded(tmp_path, WEBHOOK_URLS=url, **more).WEBHOOK_URLS


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/",
        "ftp://hooks.example.com/",
        "hooks.example.com",
        "https://",
        "https://user:password@hooks.example.com/",
        "https://hooks.example.com:0/",
        "https://hooks.example.com:99999/",
        "https://hooks.example.com/#part",
        "https://hööks.example.com/",
        "https://hooks.example.com/a b",
        "https://127.0.0.1/",
        "https://10.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[fe80::1]/",
    ],
)
def test_bad_addresses_stop_the_start(tmp_path: Path, url: str) -> None:
    """Named by its number: an address may be a secret."""
    both = f"https://hooks.example.com/,{url}"
    with pytest.raises(ConfigError, match="WEBHOOK_URLS: address 2 is no") as found:
        loaded(tmp_path, WEBHOOK_URLS=both, WEBHOOK_SECRET=SECRET)
    assert repr(url) not in str(found.value)


@pytest.mark.parametrize("secret", BAD_SECRETS)
def test_a_bad_secret_stops_the_start(tmp_path: Path, secret: str) -> None:
    with pytest.raises(ConfigError, match="WEBHOOK_SECRET: it must be whsec_") as found:
        loaded(tmp_path, WEBHOOK_URLS="https://hooks.example.com/", WEBHOOK_SECRET=secret)
    assert str(found.value).count("WEBHOOK_SECRET") == 1


def test_production_tells_no_machine_of_its_own(tmp_path: Path) -> None:
    environ = {"APP_ENV": "production", "WEBHOOK_ALLOW_LOOPBACK": "true"}
    with pytest.raises(ConfigError, match="WEBHOOK_ALLOW_LOOPBACK: not in"):
        settings.load(environ, tmp_path)


def test_a_table_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    more = {"WEBHOOK_SECRET": SECRET, "WEBHOOK_TABLES": "tasks, nothings"}
    with pytest.raises(ConfigError, match="WEBHOOK_TABLES: there is no table 'nothings'"):
        create_app(loaded(tmp_path, WEBHOOK_URLS="https://hooks.example.com/", **more))


def test_an_address_is_not_in_its_name() -> None:
    """Its path may be a secret; and the name fits its column."""
    for host in ("hooks.example.com", f"{'a' * 60}.{'b' * 60}.com"):
        hook = Webhook(f"https://{host}/very-secret", "whsec_secret", frozenset(), loopback=False)
        assert "secret" not in hook.name + repr(hook)
        assert len(hook.name) <= 120
