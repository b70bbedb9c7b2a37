"""Settings: what each environment demands, and how it says so."""

import os
import re
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import redis
from certificates import Authority

import config
from melon_api.mail.smtp import SmtpServer
from melon_api.ops.settings import OPTIONAL
from melon_api.storage.database_settings import (
    ABANDONED_SECONDS,
    ADD_ONS,
    LOCK_SECONDS,
    POOL_RECYCLE_SECONDS,
    SOCKET_SECONDS,
    STATEMENT_SECONDS,
    sqlalchemy_url,
)
from melon_api.storage.redis_settings import redis_servers
from melon_api.storage.transactions import LOCK_WAIT_ATTEMPTS
from melon_api.web.settings import LIMITS

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
        ("MAX_PUSH_RECORDS", "many"),
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
        ("REDIS_URL", "redis+cluster://"),
        ("REDIS_URL", "redis+cluster://h:1,:2"),
        ("REDIS_URL", "redis+cluster://h/service"),
        ("REDIS_URL", "redis+cluster://h?foo=bar"),
        ("REDIS_URL", "redis+cluster://h:abc"),
        ("REDIS_URL", "redis+sentinel://h:1"),
        ("REDIS_URL", "redis+sentinel://h:1/service/zero"),
        ("REDIS_URL", "redis+cluster://h?decode_responses=true"),
        ("REDIS_URL", "redis+unix://h"),
        ("REDIS_CA", "/there/is/no/such.pem"),
        ("REDIS_URL", "redis://h/0?socket_timeout=abc"),
        ("REDIS_URL", "redis://h/0?decode_responses=true"),
        ("RATELIMIT_PULL_PER_ACCOUNT", "0/minute"),
        ("RATELIMIT_PULL_PER_ACCOUNT", "often"),
        ("JWT_PREVIOUS_KEYS", f"{SECRET},short"),
        ("SESSION_LIFETIME_DAYS", "many"),
        ("JWT_PREVIOUS_KEYS", SECRET[:-1]),
        ("JWT_PREVIOUS_KEYS", f"{SECRET},{SECRET[:-1]}"),
        *((name, "often") for name in LIMITS),
        ("RATELIMIT_LOGIN_PER_ADDRESS", "10/fortnight"),
        ("RATELIMIT_LOGIN_PER_ADDRESS", "10/minute;"),
        ("RATELIMIT_LOGIN_PER_ADDRESS", "-1/minute"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, setting: str, value: str) -> None:
    with pytest.raises(config.ConfigError, match=setting) as error:
        load(tmp_path, APP_ENV="production", **{**GOOD, setting: value})
    assert SECRET[:-1] not in str(error.value)


@pytest.mark.parametrize(
    ("url", "hosts", "service", "options", "sentinel_options"),
    [
        ("redis+cluster://a:1,b", [("a", 1), ("b", 6379)], "", {}, {}),
        (
            "rediss+cluster://u:p%40@[::1]:2?ssl_ca_certs=/ca",
            [("::1", 2)],
            "",
            {"username": "u", "password": "p@", "ssl": True, "ssl_ca_certs": "/ca"},
            {"ssl": True, "ssl_ca_certs": "/ca"},
        ),
        (
            "redis+sentinel://:p@a,b:2/melon/3?sentinel_password=q",
            [("a", 26379), ("b", 2)],
            "melon",
            {"password": "p", "db": 3},
            {"password": "q"},
        ),
    ],
)
def test_a_cluster_and_sentinels_are_taken_apart(
    url: str, hosts: Any, service: str, options: Any, sentinel_options: Any
) -> None:
    servers = redis_servers(url)
    assert servers is not None
    assert (list(servers.hosts), servers.service) == (hosts, service)
    assert {"db": 0} | options == {"db": 0} | servers.options
    asked = servers.sentinel_options
    assert {name: value for name, value in asked.items() if value} == sentinel_options


def test_one_redis_is_left_to_its_client() -> None:
    assert redis_servers("redis://u:p@h:1/2") is None


def test_the_authority_of_redis_goes_into_its_url(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.touch()
    settings = load(tmp_path, REDIS_URL="rediss://h:1/0?socket_timeout=2", REDIS_CA=str(authority))
    assert redis.ConnectionPool.from_url(settings.REDIS_URL).connection_kwargs == {
        "host": "h",
        "port": 1,
        "db": 0,
        "socket_timeout": 2.0,
        "ssl_ca_certs": str(authority),
    }
    with pytest.raises(config.ConfigError, match="REDIS_CA"):
        load(tmp_path, REDIS_URL="redis://h:1/0", REDIS_CA=str(authority))


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
    assert sqlalchemy_url(url) == known


@pytest.mark.parametrize("name", ["DATABASE_URL", *ADD_ONS])
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
    assert SmtpServer(*server) == settings.SMTP
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


def tls(tmp_path: Path, **environ: str) -> Any:
    """The context that connections to the database are made with; None for none of ours."""
    settings = load(tmp_path, **environ)
    return settings.SQLALCHEMY_ENGINE_OPTIONS["connect_args"].get("ssl")


@pytest.mark.parametrize("name", ["staging", "production"])
def test_production_verifies_its_database(tmp_path: Path, name: str) -> None:
    """Also where the URL would be content with less; only DATABASE_TLS says otherwise."""
    for options in ("", "?ssl-mode=REQUIRED", "?ssl-mode=DISABLED", "?ssl_check_hostname=false"):
        environ = {**GOOD, "APP_ENV": name, "DATABASE_URL": f"mysql://u:p@10.0.0.1/melon{options}"}
        context = tls(tmp_path, **environ)
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
        assert tls(tmp_path, **environ, DATABASE_TLS="off") is None
        encrypting = tls(tmp_path, **environ, DATABASE_TLS="unverified")
        assert encrypting.verify_mode == ssl.CERT_NONE


@pytest.mark.parametrize(
    ("host", "is_verified"),
    [
        ("127.0.0.1", False),
        ("[::1]", False),
        ("localhost:3307", False),
        ("127.0.0.1.example.com", True),
        ("localhost.example.com", True),
        ("db", True),
    ],
)
def test_a_database_on_this_machine_needs_no_tls(
    tmp_path: Path, host: str, is_verified: bool
) -> None:
    environ = {**GOOD, "APP_ENV": "production", "DATABASE_URL": f"mysql://u:p@{host}/melon"}
    assert (tls(tmp_path, **environ) is not None) == is_verified
    assert tls(tmp_path, DATABASE_URL=environ["DATABASE_URL"]) is None


def test_an_authority_is_to_be_had(tmp_path: Path) -> None:
    pem = Authority(tmp_path).pem
    for value in (str(pem), pem.read_text()):
        environ = {"DATABASE_URL": "mysql://u:p@h/d", "DATABASE_CA": value}
        assert len(tls(tmp_path, **environ).get_ca_certs()) == 1
    (tmp_path / "empty.pem").touch()
    for wrong in ("/no/such/file.pem", str(tmp_path / "empty.pem"), "-----BEGIN nothing"):
        with pytest.raises(config.ConfigError, match="DATABASE_CA: "):
            load(tmp_path, DATABASE_URL="mysql://u:p@h/d", DATABASE_CA=wrong)
    with pytest.raises(config.ConfigError, match="DATABASE_TLS: 'perhaps'"):
        load(tmp_path, DATABASE_URL="mysql://u:p@h/d", DATABASE_TLS="perhaps")


def test_the_pool_is_as_large_as_the_threads(tmp_path: Path) -> None:
    settings = load(tmp_path, DATABASE_URL="mysql://u:p@h/d", WEB_THREADS="7")
    assert settings.SQLALCHEMY_ENGINE_OPTIONS["pool_size"] == 7
    with pytest.raises(config.ConfigError, match="WEB_THREADS"):
        load(tmp_path, DATABASE_URL="mysql://u:p@h/d", WEB_THREADS="some")


def test_each_patience_is_longer_than_the_one_within_it() -> None:
    """A lock waited for twice, a statement, its answer, gunicorn's graceful stop."""
    gunicorn = (config.ROOT / "gunicorn.conf.py").read_text()
    (graceful,) = map(int, re.findall(r"^graceful_timeout = (\d+)", gunicorn, re.MULTILINE))
    twice = LOCK_WAIT_ATTEMPTS * LOCK_SECONDS
    assert twice < STATEMENT_SECONDS < SOCKET_SECONDS < graceful
    assert graceful < 30  # a platform's
    assert POOL_RECYCLE_SECONDS < ABANDONED_SECONDS


COLLECTOR = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}
DSN = {"SENTRY_DSN": "https://public@o1.ingest.example.com/42"}


def test_nothing_is_reported_unless_a_setting_says_where(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert (settings.SENTRY_DSN, settings.OTEL_EXPORTER_OTLP_ENDPOINT) == (None, None)
    assert settings.RELEASE is None
    settings = load(tmp_path, **DSN, **COLLECTOR, GIT_REV="c0ffee", SOURCE_VERSION="")
    assert DSN["SENTRY_DSN"] == settings.SENTRY_DSN
    assert settings.OTEL_EXPORTER_OTLP_ENDPOINT == "http://localhost:4318"
    assert settings.RELEASE == "c0ffee"


@pytest.mark.parametrize("dsn", ["yes", "https://host/1", "https://key@host", "ftp://key@host/1"])
def test_a_wrong_dsn_is_refused(tmp_path: Path, dsn: str) -> None:
    with pytest.raises(config.ConfigError, match="SENTRY_DSN: it must be https://key@host/number"):
        load(tmp_path, SENTRY_DSN=dsn)


@pytest.mark.parametrize(
    "url", ["localhost:4318", "grpc://host:4317", "https://", "http://h?key=1"]
)
def test_a_wrong_collector_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(config.ConfigError, match="OTEL_EXPORTER_OTLP_ENDPOINT: it must be http"):
        load(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=url)
    with pytest.raises(config.ConfigError, match="OTEL_EXPORTER_OTLP_PROTOCOL: only http/protobuf"):
        load(tmp_path, **COLLECTOR, OTEL_EXPORTER_OTLP_PROTOCOL="grpc")


def test_what_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With how to get it; without the setting nobody misses it."""
    monkeypatch.setitem(sys.modules, "sentry_sdk", None)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk", None)
    load(tmp_path)
    with pytest.raises(config.ConfigError) as error:
        load(tmp_path, **DSN, **COLLECTOR)
    text = str(error.value)
    assert "SENTRY_DSN: sentry_sdk not installed (pip install -r requirements-obs" in text
    assert "OTEL_EXPORTER_OTLP_ENDPOINT: opentelemetry.sdk not installed (pip" in text


LIST_MODULES = """
import sys
import redis  # which looks whether there is an OpenTelemetry to tell its own metrics to
before = set(sys.modules)
import wsgi
print(*{name.partition(".")[0] for name in set(sys.modules) - before})
"""
WITHOUT = "import sys\nsys.modules |= {'opentelemetry': None, 'sentry_sdk': None}\n"


def test_optional_packages_are_not_imported_unasked(tmp_path: Path) -> None:
    """Each costs memory in every worker, and time at every start; nor need they be there."""
    optional = {package.partition(".")[0] for names in OPTIONAL.values() for package in names}

    def imported(before: str = "", **environ: str) -> set[str]:
        command = [sys.executable, "-c", before + LIST_MODULES]
        environ |= {"INSTANCE_PATH": str(tmp_path), "PATH": os.environ["PATH"]}
        done = subprocess.run(
            command, env=environ, cwd=config.ROOT, capture_output=True, text=True, check=True
        )
        return set(done.stdout.split()) & optional

    assert optional == {"sentry_sdk", "opentelemetry"}
    assert imported() == set()
    assert imported(before=WITHOUT) == set()
    assert imported(SENTRY_DSN="http://key@127.0.0.1:9/1") == {"sentry_sdk"}
    nobody = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    assert imported(**nobody, OTEL_EXPORTER_OTLP_TIMEOUT="1") == {"opentelemetry"}
