"""Settings, read from the environment when the application is made, never at import.

One class per `APP_ENV`. `problems()` names everything that is missing or wrong at once, so that
a deploy fails with one complete list instead of one sentence per attempt.
"""

import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

import limits
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

ROOT = Path(__file__).resolve().parent

MIN_SECRET_BYTES = 32  # RFC 7518 §3.2: an HS256 key is at least as long as its hash
DATABASE_VARIABLES = (
    "DATABASE_URL",
    "JAWSDB_URL",
    "JAWSDB_MARIA_URL",
    "CLEARDB_DATABASE_URL",
)
MYSQL_SCHEMES = ("mysql", "mysql2", "mariadb", "mysql+pymysql", "mariadb+pymysql")
LOG_LEVELS = ("INFO", "DEBUG", "WARNING", "ERROR", "CRITICAL")
# OWASP Password Storage Cheat Sheet, Argon2id: (KiB, iterations), each with 1 lane
OWASP_ARGON2ID = ((47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5))
CONFLICT_POLICIES = ("last_write_wins", "reject")
SMTP_FORM = "it must be smtp://user:password@host:587 or smtps://…:465, percent-encoded"
# RFC 5322 §3.4: one address, ASCII alone; a name before it in quotes where it has a comma
ADDRESS = r"[\w.!#$%&'*+/=?^`{|}~-]+@[\w.-]+"
SENDER = re.compile(rf'("[^"\\<>]*" *|[^"\\<>()\[\],:;@]*)<{ADDRESS}>|{ADDRESS}', re.ASCII)
TRUE, FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")

# How often, each for one client address (an IPv6 network of 64 bits counts as one) and for one
# account. Addresses are generous: a school or a mobile network is behind one.
LIMITS = {
    "RATELIMIT_LOGIN_PER_ADDRESS": "30/minute",
    "RATELIMIT_LOGIN_PER_ACCOUNT": "10/minute;100/hour",
    "RATELIMIT_REGISTER_PER_ADDRESS": "30/minute",
    "RATELIMIT_REGISTER_PER_ACCOUNT": "10/hour",
    "RATELIMIT_FORGOT_PER_ADDRESS": "30/minute",
    "RATELIMIT_FORGOT_PER_ACCOUNT": "5/hour",
    "RATELIMIT_REFRESH_PER_ADDRESS": "600/minute",
    "RATELIMIT_REFRESH_PER_ACCOUNT": "60/minute",
    "RATELIMIT_PULL_PER_ADDRESS": "6000/minute",
    "RATELIMIT_PULL_PER_ACCOUNT": "300/minute",
    "RATELIMIT_PUSH_PER_ADDRESS": "6000/minute",
    "RATELIMIT_PUSH_PER_ACCOUNT": "300/minute",
}
REDIS_OPTIONS = {
    "socket_timeout": 1,  # s
    "socket_connect_timeout": 1,
    # Once more on a connection that was closed; nobody waits twice for one that hangs.
    "retry": Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
}

# The server must refuse what it would have to cut, whatever the host's own default says. The
# last is in bytes, of one list of a pull (see sync/reading).
MYSQL_SESSION = (
    "SET SESSION sql_mode = 'TRADITIONAL', SESSION innodb_lock_wait_timeout = 8,"
    " SESSION group_concat_max_len = 8388608"
)


class ConfigError(Exception):
    """The environment does not hold what this `APP_ENV` needs; the message lists everything."""


def sqlalchemy_url(url: str) -> str:
    """Turn a PaaS database URL (`mysql://…?reconnect=true`) into one that SQLAlchemy understands.

    Raises ValueError for another kind of database, and for an option that would be dropped in
    silence (`ssl-mode=REQUIRED` ignored would mean no TLS).
    """
    parts = urlsplit(url)
    _ = parts.port  # raises ValueError for what is no port
    if parts.scheme == "sqlite":
        return url
    if parts.scheme not in MYSQL_SCHEMES:
        raise ValueError(f"{parts.scheme or 'it'} is not mysql, mariadb or sqlite")
    options = {"charset": "utf8mb4"}
    for name, value in parse_qsl(parts.query):
        options.update(_mysql_option(name, value))
    query = urlencode(options)
    return urlunsplit(("mysql+pymysql", parts.netloc, parts.path, query, ""))


def _mysql_option(name: str, value: str) -> dict[str, str]:
    if name in ("reconnect", "charset", "sslaccept"):  # ClearDB, JawsDB; the charset is ours
        return {}
    if name.replace("-", "_").lower() in ("ssl_mode", "sslmode"):
        if value.upper() in ("DISABLED", "DISABLE", "PREFERRED", "PREFER"):
            return {}
        if value.upper() in ("REQUIRED", "REQUIRE"):
            return {"ssl_check_hostname": "false"}
    elif name in ("ssl_ca", "ssl_cert", "ssl_key", "ssl_check_hostname", "unix_socket"):
        return {name: value}
    raise ValueError(f"the option {name}={value} is not understood")


@dataclass(frozen=True)
class SmtpServer:
    """Where mail goes out; `tls` is `start` (STARTTLS), `on` from the first byte, or `off`."""

    host: str
    port: int
    tls: str
    user: str
    password: str


def smtp_server(url: str) -> SmtpServer:
    """Take `SMTP_URL` apart. Raises ValueError for what is not understood."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # quotes what may be a part of the password
        raise ValueError(SMTP_FORM) from None
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    tls = options.pop("tls", "on" if parts.scheme == "smtps" else "start")
    is_whole = parts.hostname and not parts.path.strip("/") and not parts.fragment
    if parts.scheme not in ("smtp", "smtps") or not is_whole:
        raise ValueError(SMTP_FORM)
    if options or tls not in ("start", "on", "off"):
        raise ValueError("the only option is tls=start, tls=on or tls=off")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    default = 465 if tls == "on" else 587
    return SmtpServer(parts.hostname or "", port or default, tls, user, password)


class Config:
    """What every environment shares; an instance feeds `app.config.from_object`."""

    APP_ENV: ClassVar[str]
    LOGS_ARE_JSON: ClassVar[bool] = False
    MAIL_TO_CONSOLE: ClassVar[bool] = False
    NEEDS_SERVERS: ClassVar[bool] = False
    LIMITS_BY_DEFAULT: ClassVar[bool] = False
    PROXIES_BY_DEFAULT: ClassVar[int] = 0

    API_TITLE = "Melon API"
    API_VERSION = "v1"
    OPENAPI_VERSION = "3.1.0"
    OPENAPI_URL_PREFIX = "/"
    OPENAPI_JSON_PATH = "openapi.json"
    MIGRATIONS = ROOT / "migrations"

    JWT_ALGORITHM = "HS256"
    JWT_DECODE_ALGORITHMS: ClassVar[list[str]] = ["HS256"]  # and no other, whatever a token says
    JWT_TOKEN_LOCATION = ("headers",)
    JWT_COOKIE_CSRF_PROTECT = False  # no cookies; and its claim would make tokens random
    JWT_ENCODE_NBF = False  # two hosts' clocks differ: a fresh token must work on both
    ACCESS_TOKEN_LIFETIME = timedelta(minutes=15)
    REFRESH_TOKEN_LIFETIME = timedelta(days=7)

    COMPRESS_ALGORITHM: ClassVar[list[str]] = ["gzip"]
    COMPRESS_LEVEL = 4
    COMPRESS_MIMETYPES: ClassVar[list[str]] = ["application/json", "application/problem+json"]

    RATELIMIT_STRATEGY = "fixed-window"
    RATELIMIT_KEY_PREFIX = "melon"
    RATELIMIT_FAIL_ON_FIRST_BREACH = False  # Retry-After is that of the longest one
    RATELIMIT_HEADERS_ENABLED = False  # limits.py writes them
    RATELIMIT_IN_MEMORY_FALLBACK_ENABLED = True

    def __init__(self, environ: Mapping[str, str], instance: Path) -> None:
        self._environ = environ
        self._instance = instance
        self._problems: list[str] = []
        self.SQLALCHEMY_DATABASE_URI = self._database()
        self.SQLALCHEMY_ENGINE_OPTIONS = self._engine_options()
        self.REDIS_URL = self._redis()
        self.RATELIMIT_STORAGE_URI = self.REDIS_URL or "memory://"
        self.RATELIMIT_STORAGE_OPTIONS = REDIS_OPTIONS if self.REDIS_URL else {}
        self.RATELIMIT_ENABLED = self._flag("RATELIMIT_ENABLED", self.LIMITS_BY_DEFAULT)
        self.LIMITS = {name: self._limit(name, default) for name, default in LIMITS.items()}
        self.JWT_SECRET_KEY = self._secret()
        self.JWT_PREVIOUS_KEYS = self._previous_keys()
        self.CORS_ORIGINS = self._origins("" if self.NEEDS_SERVERS else "*")
        self.SYNC_CONFLICT_POLICY = self._choice("SYNC_CONFLICT_POLICY", CONFLICT_POLICIES)
        self.SESSION_LIFETIME = timedelta(
            days=self._number("SESSION_LIFETIME_DAYS", 180, most=36_500)
        )
        self.MAX_CONTENT_LENGTH = self._number("MAX_BODY_MIB", 32) * 1024 * 1024
        self.TRUSTED_PROXIES = self._number("TRUSTED_PROXIES", self.PROXIES_BY_DEFAULT, least=0)
        self.LOG_LEVEL = self._choice("LOG_LEVEL", LOG_LEVELS)
        self.ARGON2_MEMORY_KIB = self._number("ARGON2_MEMORY_KIB", 19456, most=4_194_304)
        self.ARGON2_ITERATIONS = self._number("ARGON2_ITERATIONS", 2, most=100)
        self.ARGON2_PARALLELISM = self._number("ARGON2_PARALLELISM", 1, most=64)
        self.ARGON2_AT_ONCE = self._number("ARGON2_AT_ONCE", 2)
        self.APP_NAME = self._text("APP_NAME", "Melon")
        self.SMTP = self._smtp()
        self.MAIL_FROM = self._mail_from()
        self.RESET_LINK = self._link("RESET_LINK")
        self.VERIFY_LINK = self._link("VERIFY_LINK")
        self.REQUIRE_VERIFIED_EMAIL = self._flag("REQUIRE_VERIFIED_EMAIL", False)

    def problems(self) -> list[str]:
        """Every missing or wrong setting, a sentence each; empty when the server may start."""
        found = list(self._problems)
        if self.ARGON2_MEMORY_KIB < 8 * self.ARGON2_PARALLELISM:  # RFC 9106 §3.1
            found.append("ARGON2_MEMORY_KIB: at least 8 for each of ARGON2_PARALLELISM")
        if self.NEEDS_SERVERS:
            if self.SQLALCHEMY_DATABASE_URI.startswith("sqlite"):
                found.append("DATABASE_URL: a MySQL or MariaDB server is needed (mysql://…)")
            if not self.REDIS_URL:
                found.append("REDIS_URL: a Redis server is needed (redis://… or rediss://…)")
            if not any(
                kib <= self.ARGON2_MEMORY_KIB and times <= self.ARGON2_ITERATIONS
                for kib, times in OWASP_ARGON2ID
            ):
                found.append("ARGON2_MEMORY_KIB, ARGON2_ITERATIONS: weaker than OWASP advises")
            if self.REQUIRE_VERIFIED_EMAIL and not self.SMTP:
                found.append("REQUIRE_VERIFIED_EMAIL: needs SMTP_URL, or nobody can verify")
        return found

    def _database(self) -> str:
        default = f"sqlite:///{self._instance / 'melon.db'}"
        for name in DATABASE_VARIABLES:
            if url := self._environ.get(name):
                try:
                    return sqlalchemy_url(url)
                except ValueError as error:
                    self._problems.append(f"{name}: {error}")
                    return default
        return default

    def _engine_options(self) -> dict[str, object]:
        if self.SQLALCHEMY_DATABASE_URI.startswith("sqlite"):
            return {"hide_parameters": True, "connect_args": {"timeout": 30}}
        return {
            "isolation_level": "REPEATABLE READ",  # a pull is one snapshot (contract pull 1)
            "pool_pre_ping": True,
            "pool_recycle": 280,  # seconds; below the idle timeouts of hosted servers
            "hide_parameters": True,  # values are people's, and not for logs
            "connect_args": {
                "connect_timeout": 5,  # s, like the others
                "read_timeout": 25,
                "write_timeout": 25,
                "init_command": MYSQL_SESSION,
            },
        }

    def _redis(self) -> str | None:
        url = self._environ.get("REDIS_URL")
        if url and urlsplit(url).scheme not in ("redis", "rediss"):
            self._problems.append("REDIS_URL: it must begin with redis:// or rediss://")
            return None
        if url:
            try:
                pool = redis.ConnectionPool.from_url(url)
                pool.connection_class(**pool.connection_kwargs)
            except (ValueError, TypeError) as error:
                self._problems.append(f"REDIS_URL: {type(error).__name__}, a part is wrong")
            else:
                if pool.connection_kwargs.get("decode_responses"):
                    self._problems.append("REDIS_URL: decode_responses is not for this server")
        return url or None

    def _secret(self) -> str:
        secret = self._environ.get("JWT_SECRET_KEY", "")
        if secret or self.NEEDS_SERVERS:
            if len(secret.encode()) < MIN_SECRET_BYTES:
                self._problems.append(
                    f"JWT_SECRET_KEY: a secret of at least {MIN_SECRET_BYTES} bytes is needed"
                )
            return secret
        return _kept_secret(self._instance / "jwt_secret_key")

    def _previous_keys(self) -> list[str]:
        parts = self._environ.get("JWT_PREVIOUS_KEYS", "").split(",")
        keys = [key for part in parts if (key := part.strip())]
        for place, key in enumerate(keys, 1):
            if len(key.encode()) < MIN_SECRET_BYTES:
                self._problems.append(
                    f"JWT_PREVIOUS_KEYS: key {place} has fewer than {MIN_SECRET_BYTES} bytes"
                )
        return keys

    def _limit(self, name: str, default: str) -> str:
        value = self._environ.get(name) or default
        try:
            if not all(limit.amount for limit in limits.parse_many(value)):
                raise ValueError  # noqa: TRY301 - said below
        except ValueError:
            self._problems.append(f"{name}: {value!r} is no limit (10/minute;100/hour)")
            return default
        return value

    def _smtp(self) -> SmtpServer | None:
        """`smtp://user:password@host:587` (STARTTLS), `smtps://…:465`; `?tls=off` for neither."""
        url = self._environ.get("SMTP_URL", "")
        if not url:
            return None
        try:
            return smtp_server(url)
        except ValueError as error:
            self._problems.append(f"SMTP_URL: {error}")
            return None

    def _mail_from(self) -> str:
        sender = self._environ.get("MAIL_FROM", "")
        if not (sender.isprintable() and SENDER.fullmatch(sender)):
            if self.SMTP or sender:
                self._problems.append("MAIL_FROM: an address is needed (Melon <no-reply@host>)")
            return f"{self.APP_NAME} <no-reply@localhost>"
        return sender

    def _link(self, name: str) -> str | None:
        link = self._environ.get(name, "")
        if link and not (re.match(r"[a-z][a-z0-9+.-]*:\S+\Z", link) and "{token}" in link):
            self._problems.append(f"{name}: {link!r} is no link with {{token}} in it")
        return link or None

    def _text(self, name: str, default: str) -> str:
        value = self._environ.get(name) or default
        if not value.isprintable():
            self._problems.append(f"{name}: one line of text is needed")
        return value

    def _flag(self, name: str, default: bool) -> bool:
        value = self._environ.get(name, "").strip().lower()
        if value in TRUE + FALSE:
            return value in TRUE
        if value:
            self._problems.append(f"{name}: {value!r} is neither true nor false")
        return default

    def _number(self, name: str, default: int, least: int = 1, most: int = 10**9) -> int:
        value = self._environ.get(name, "")
        if re.fullmatch(r"[0-9]{1,9}", value) and least <= int(value) <= most:
            return int(value)
        if value:
            self._problems.append(f"{name}: {value!r} is no whole number from {least} to {most}")
        return default

    def _choice(self, name: str, choices: tuple[str, ...]) -> str:
        value = self._environ.get(name) or choices[0]
        by_case = {choice.lower(): choice for choice in choices}
        if value.lower() in by_case:
            return by_case[value.lower()]
        self._problems.append(f"{name}: {value!r} is none of {', '.join(choices)}")
        return choices[0]

    def _origins(self, default: str) -> list[str]:
        value = self._environ.get("CORS_ORIGINS", default)
        origins = [item.strip() for item in value.split(",") if item.strip()]
        for origin in origins:
            if origin != "*" and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/*]+", origin):
                self._problems.append(f"CORS_ORIGINS: {origin!r} is no origin (https://host)")
        return origins


class Development(Config):
    """A laptop: SQLite, no Redis, a secret of its own in `instance/`."""

    APP_ENV = "development"
    MAIL_TO_CONSOLE = True


class Testing(Config):
    """The test suite: like development, errors are answered as in production."""

    APP_ENV = "testing"
    TESTING = True
    PROPAGATE_EXCEPTIONS = False


class Production(Config):
    """Real users: refuses to start without a database server, Redis and a real secret."""

    APP_ENV = "production"
    LOGS_ARE_JSON = True
    NEEDS_SERVERS = True
    LIMITS_BY_DEFAULT = True
    PROXIES_BY_DEFAULT = 1  # the platform's router


class Staging(Production):
    """Production's rehearsal, with the same demands."""

    APP_ENV = "staging"


ENVIRONMENTS = {kind.APP_ENV: kind for kind in (Development, Testing, Staging, Production)}


def load(environ: Mapping[str, str] | None = None, instance: Path | None = None) -> Config:
    """The settings for `APP_ENV`. Raises ConfigError that lists every problem at once."""
    environ = os.environ if environ is None else environ
    instance = instance or Path(environ.get("INSTANCE_PATH") or ROOT / "instance")
    name = environ.get("APP_ENV") or "development"
    if name not in ENVIRONMENTS:
        raise ConfigError(f"APP_ENV: {name!r} is none of {', '.join(ENVIRONMENTS)}")
    config = ENVIRONMENTS[name](environ, instance)
    if problems := config.problems():
        raise ConfigError(f"cannot start in {name}:\n" + "\n".join(f"  - {p}" for p in problems))
    return config


def _kept_secret(path: Path) -> str:
    """A random secret that this checkout keeps, so that all workers and restarts share it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(secrets.token_urlsafe(48))
    try:
        os.link(
            draft, path
        )  # atomic: the first of several workers wins, the others read its secret
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_text()
