"""Settings: what each environment demands, and how it says so."""

from pathlib import Path
from typing import Any

import pytest

import config

SECRET = "0123456789abcdef0123456789abcdef"
GOOD = {
    "DATABASE_URL": "mysql://u:p@db.example.com:3307/melon",
    "REDIS_URL": "redis://cache.example.com:6379/0",
    "JWT_SECRET_KEY": SECRET,
}


def load(tmp_path: Path, **environ: str) -> Any:
    return config.load(environ, tmp_path)


@pytest.mark.parametrize("name", ["staging", "production"])
def test_production_names_everything_that_is_missing_at_once(tmp_path: Path, name: str) -> None:
    with pytest.raises(config.ConfigError) as error:
        load(tmp_path, APP_ENV=name)
    for setting in ("DATABASE_URL", "REDIS_URL", "JWT_SECRET_KEY"):
        assert setting in str(error.value)


@pytest.mark.parametrize("name", ["staging", "production"])
def test_production_starts_with_what_it_needs(tmp_path: Path, name: str) -> None:
    settings = load(tmp_path, APP_ENV=name, **GOOD)
    assert settings.SQLALCHEMY_DATABASE_URI == (
        "mysql+pymysql://u:p@db.example.com:3307/melon?charset=utf8mb4"
    )
    assert settings.RATELIMIT_ENABLED is True
    assert settings.CORS_ORIGINS == []


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("JWT_SECRET_KEY", SECRET[:-1]),
        ("DATABASE_URL", "sqlite:///x.db"),
        ("DATABASE_URL", "postgres://u@h/d"),
        ("DATABASE_URL", "mysql://u@h/d?sslmode=verify-full"),
        ("REDIS_URL", ""),
        ("SYNC_CONFLICT_POLICY", "first_wins"),
        ("RATELIMIT_ENABLED", "perhaps"),
        ("MAX_BODY_MIB", "0"),
        ("LOG_LEVEL", "loud"),
        ("REDIS_URL", "foo"),
        ("DATABASE_URL", "mysql://u:p@h:port/x"),
        ("CORS_ORIGINS", "*.example.com"),
        ("TRUSTED_PROXIES", "-1"),
        ("ARGON2_MEMORY_KIB", "64"),
        ("ARGON2_ITERATIONS", "1"),
        ("SESSION_LIFETIME_DAYS", "many"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, setting: str, value: str) -> None:
    with pytest.raises(config.ConfigError, match=setting):
        load(tmp_path, APP_ENV="production", **{**GOOD, setting: value})


def test_an_unknown_environment_is_named(tmp_path: Path) -> None:
    with pytest.raises(config.ConfigError, match="APP_ENV: 'prod'"):
        load(tmp_path, APP_ENV="prod")


@pytest.mark.parametrize("name", [None, "development", "testing"])
def test_a_laptop_needs_nothing(tmp_path: Path, name: str | None) -> None:
    environ = {"APP_ENV": name} if name else {}
    first, second = load(tmp_path, **environ), load(tmp_path, **environ)
    assert f"sqlite:///{tmp_path}/melon.db" == first.SQLALCHEMY_DATABASE_URI
    assert first.REDIS_URL is None
    assert len(first.JWT_SECRET_KEY) >= 32
    assert first.JWT_SECRET_KEY == second.JWT_SECRET_KEY
    assert (tmp_path / "jwt_secret_key").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("url", "known"),
    [
        ("mysql://u:p%40x@h/d", "mysql+pymysql://u:p%40x@h/d?charset=utf8mb4"),
        ("mysql://u:p@h/d?reconnect=true", "mysql+pymysql://u:p@h/d?charset=utf8mb4"),
        ("mysql2://u:p@h/d", "mysql+pymysql://u:p@h/d?charset=utf8mb4"),
        ("mariadb://u:p@h:1/d", "mysql+pymysql://u:p@h:1/d?charset=utf8mb4"),
        ("mysql+pymysql://h/d?charset=latin1", "mysql+pymysql://h/d?charset=utf8mb4"),
        (
            "mysql://u@h/d?ssl-mode=REQUIRED",
            "mysql+pymysql://u@h/d?charset=utf8mb4&ssl_check_hostname=false",
        ),
        (
            "mysql://u@h/d?ssl_ca=/etc/ca.pem",
            "mysql+pymysql://u@h/d?charset=utf8mb4&ssl_ca=%2Fetc%2Fca.pem",
        ),
        ("sqlite:////tmp/x.db", "sqlite:////tmp/x.db"),
    ],
)
def test_a_paas_database_url_is_understood(url: str, known: str) -> None:
    assert config.sqlalchemy_url(url) == known


@pytest.mark.parametrize("name", config.DATABASE_VARIABLES)
def test_the_database_may_come_from_an_add_on(tmp_path: Path, name: str) -> None:
    settings = load(tmp_path, **{name: "mysql://u@h/d"})
    assert settings.SQLALCHEMY_DATABASE_URI.startswith("mysql+pymysql://u@h/d")


def test_our_own_database_url_comes_first(tmp_path: Path) -> None:
    settings = load(tmp_path, JAWSDB_URL="mysql://jaws/d", DATABASE_URL="mysql://own/d")
    assert "//own/" in settings.SQLALCHEMY_DATABASE_URI
