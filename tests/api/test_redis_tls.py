"""Redis behind TLS, its certificate signed by an authority of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from certificates import Authority
from conftest import environment, make_app
from devices import Account, created, project
from redis_servers import SecureRedis

LIMITED = {"RATELIMIT_ENABLED": "true"}


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[SecureRedis]:
    with SecureRedis(tmp_path, Authority(tmp_path)) as server:
        yield server


def settings(tmp_path: Path, **more: str) -> dict[str, str]:
    return environment("sqlite", f"sqlite:///{tmp_path}/secure.db", **LIMITED, **more)


@pytest.mark.parametrize("is_in_the_url", [True, False])
def test_a_private_authority_is_trusted_by_the_url_or_by_setting(
    secure: SecureRedis, tmp_path: Path, is_in_the_url: bool
) -> None:
    """For the cache, its near part, the limits, and /readyz."""
    by_setting = {"REDIS_URL": secure.bare_url, "REDIS_CA": str(tmp_path / "authority.pem")}
    more = {"REDIS_URL": secure.url} if is_in_the_url else by_setting
    app = make_app(settings(tmp_path, **more), tmp_path)
    account = Account(app)
    account.first.push(projects=created(project()))
    account.first.pull()
    account.first.pull()
    cache = app.extensions["account_cache"]
    assert cache.read(account.user["id"], "clock") == [account.first.pulled_at]
    assert not cache._availability.is_away
    assert app.test_client().get("/readyz").json["redis"] == "ok"
    assert "RateLimit-Limit" in account.first.ask_pull(None).headers


def test_another_authority_is_refused_as_if_redis_were_away(
    secure: SecureRedis, tmp_path: Path
) -> None:
    """Contract, Service 2: /readyz names it; everything else works."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    stranger = Authority(elsewhere).pem
    for url in (secure.bare_url, f"{secure.bare_url}?ssl_ca_certs={stranger}"):
        app = make_app(settings(tmp_path, REDIS_URL=url), tmp_path)
        account = Account(app)
        account.first.push(projects=created(project()))
        assert len(account.first.records("projects")) == 1
        assert account.first.call("POST", "/auth/logout").status_code == 204
        assert account.first.ask_pull(None).json["code"] == "token_revoked"
        answer = app.test_client().get("/readyz")
        assert (answer.status_code, list(answer.json["errors"])) == (503, ["redis"])
        assert app.extensions["account_cache"]._availability.is_away
