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
        ("ARGON2_PARALLELISM", "3000"),
        ("ARGON2_MEMORY_KIB", "999999999"),
        ("SESSION_LIFETIME_DAYS", "3000000"),
        ("REDIS_URL", "redis://h:abc"),
        ("REDIS_URL", "redis://h/0?foo=bar"),
        ("REDIS_URL", "redis://h/0?socket_timeout=abc"),
        ("REDIS_URL", "redis://h/0?decode_responses=true"),
        ("RATELIMIT_PULL_PER_ACCOUNT", "0/minute"),
        ("RATELIMIT_PULL_PER_ACCOUNT", "often"),
        ("JWT_PREVIOUS_KEYS", f"{SECRET},short"),
        ("SESSION_LIFETIME_DAYS", "many"),
        ("JWT_PREVIOUS_KEYS", SECRET[:-1]),
        ("JWT_PREVIOUS_KEYS", f"{SECRET},{SECRET[:-1]}"),
        *((name, "often") for name in config.LIMITS),
        ("RATELIMIT_LOGIN_PER_ADDRESS", "10/fortnight"),
        ("RATELIMIT_LOGIN_PER_ADDRESS", "10/minute;"),
        ("RATELIMIT_LOGIN_PER_ADDRESS", "-1/minute"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, setting: str, value: str) -> None:
    with pytest.raises(config.ConfigError, match=setting) as error:
        load(tmp_path, APP_ENV="production", **{**GOOD, setting: value})
    assert SECRET[:-1] not in str(error.value)


def test_limits_are_as_many_as_one_likes(tmp_path: Path) -> None:
    settings = load(tmp_path, RATELIMIT_PUSH_PER_ACCOUNT="1/second;90 per hour, 5/2 days")
    assert settings.LIMITS["RATELIMIT_PUSH_PER_ACCOUNT"] == "1/second;90 per hour, 5/2 days"
    assert settings.LIMITS["RATELIMIT_PULL_PER_ACCOUNT"] == "300/minute"


def test_former_keys_are_a_list(tmp_path: Path) -> None:
    former = ["a" * 32, "b" * 32]
    for text in (",".join(former), " , ".join(former), f"{former[0]},,{former[1]},\n"):
        assert former == load(tmp_path, JWT_PREVIOUS_KEYS=text).JWT_PREVIOUS_KEYS
    assert load(tmp_path).JWT_PREVIOUS_KEYS == []


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


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example.com", ("mail.example.com", 587, "start", "", "")),
        ("smtp://u:p@mail.example.com:2525", ("mail.example.com", 2525, "start", "u", "p")),
        ("smtp://u%40h:p%2F%3A%25@h", ("h", 587, "start", "u@h", "p/:%")),
        ("smtps://u:p@h", ("h", 465, "on", "u", "p")),
        ("smtps://u:p@h:1465", ("h", 1465, "on", "u", "p")),
        ("smtp://h?tls=on", ("h", 465, "on", "", "")),
        ("smtp://127.0.0.1:25?tls=off", ("127.0.0.1", 25, "off", "", "")),
        ("smtp://[::1]:25?tls=off", ("::1", 25, "off", "", "")),
    ],
)
def test_a_mail_server_is_understood(tmp_path: Path, url: str, server: tuple[Any, ...]) -> None:
    """Encrypted unless it is said that it shall not be."""
    settings = load(tmp_path, SMTP_URL=url, MAIL_FROM="Melon <no-reply@example.com>")
    assert config.SmtpServer(*server) == settings.SMTP
    assert settings.MAIL_FROM == "Melon <no-reply@example.com>"


@pytest.mark.parametrize(
    "url",
    [
        "mail.example.com",
        "mail.example.com:587",
        "http://mail.example.com",
        "smtp://",
        "smtp://:587",
        "smtp://h:mail",
        "smtp://h:99999",
        "smtp://h?tls=perhaps",
        "smtp://h?ssl=off",
        "smtp://h?tls=off&timeout=3",
    ],
)
def test_a_wrong_mail_server_is_named(tmp_path: Path, url: str) -> None:
    with pytest.raises(config.ConfigError, match="SMTP_URL: "):
        load(tmp_path, SMTP_URL=url, MAIL_FROM="no-reply@example.com")


@pytest.mark.parametrize("password", ["hunter/2", "hunter#2", "hunter?2"])
def test_a_password_that_was_not_encoded_is_not_printed(tmp_path: Path, password: str) -> None:
    """In a URL these end the host's part, so that the password looks like a port."""
    with pytest.raises(config.ConfigError, match="SMTP_URL: ") as error:
        load(tmp_path, SMTP_URL=f"smtp://melon:{password}@h", MAIL_FROM="no-reply@example.com")
    assert "hunter" not in str(error.value)


@pytest.mark.parametrize(
    "sender", ["a@example.com", "Melon <a@example.com>", '"Melon, Inc." <a@b.c>', "Mëlon <a@b.c>"]
)
def test_who_mail_is_from(tmp_path: Path, sender: str) -> None:
    assert sender == load(tmp_path, SMTP_URL="smtp://h", MAIL_FROM=sender).MAIL_FROM


@pytest.mark.parametrize(
    "sender",
    [
        "",
        "Melon",
        "Melon a@example.com",
        "Melon, Inc. <a@example.com>",
        "a@example.com, b@example.com",
        "Melon <a@example.com",
        '"Melon <a@example.com>',
        '"',
        "Melon <a@exämple.com>",
        "a@example.com\r\nBcc: b@example.com",
    ],
)
def test_a_mail_server_needs_one_sender(tmp_path: Path, sender: str) -> None:
    with pytest.raises(config.ConfigError, match="MAIL_FROM: "):
        load(tmp_path, SMTP_URL="smtp://h", MAIL_FROM=sender)


@pytest.mark.parametrize("name", ["RESET_LINK", "VERIFY_LINK"])
def test_a_link_has_a_place_for_the_token(tmp_path: Path, name: str) -> None:
    for link in ("https://a.app/reset?token={token}", "myapp://reset/{token}#x", "a.b+c:{token}"):
        assert getattr(load(tmp_path, **{name: link}), name) == link
    for link in ("https://a.app/reset", "myapp://reset?token={TOKEN}", "/reset?token={token}"):
        with pytest.raises(config.ConfigError, match=f"{name}: "):
            load(tmp_path, **{name: link})
    assert getattr(load(tmp_path), name) is None


@pytest.mark.parametrize("name", ["staging", "production"])
def test_whom_nobody_can_write_to_cannot_verify(tmp_path: Path, name: str) -> None:
    wanted = {"APP_ENV": name, "REQUIRE_VERIFIED_EMAIL": "true", **GOOD}
    with pytest.raises(config.ConfigError, match="REQUIRE_VERIFIED_EMAIL: needs SMTP_URL"):
        load(tmp_path, **wanted)
    settings = load(tmp_path, **wanted, SMTP_URL="smtp://h", MAIL_FROM="a@example.com")
    assert settings.REQUIRE_VERIFIED_EMAIL is True
    assert load(tmp_path).REQUIRE_VERIFIED_EMAIL is False
    assert load(tmp_path, REQUIRE_VERIFIED_EMAIL="true").REQUIRE_VERIFIED_EMAIL is True


def test_a_name_is_one_line(tmp_path: Path) -> None:
    assert load(tmp_path).APP_NAME == "Melon"
    assert load(tmp_path, APP_NAME="Mëlon & Co").APP_NAME == "Mëlon & Co"
    with pytest.raises(config.ConfigError, match="APP_NAME: "):
        load(tmp_path, APP_NAME="Melon\r\nBcc: b@example.com")


def test_each_hash_lane_needs_its_memory(tmp_path: Path) -> None:
    """RFC 9106 §3.1: 8 KiB for each lane, or nobody could sign in."""
    with pytest.raises(config.ConfigError, match="ARGON2_MEMORY_KIB"):
        load(tmp_path, ARGON2_MEMORY_KIB="15", ARGON2_PARALLELISM="2")
