"""Settings, read from the environment when the application is made, never at import.

One class per `APP_ENV`. `problems()` names everything that is missing or wrong at once, so that
a deploy fails with one complete list instead of one sentence per attempt.
"""

import importlib.util
import os
import re
import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, ClassVar
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
# The commit at work, as platforms tell it: Sentry's own name first, then Heroku, Dokku.
RELEASE_VARIABLES = (
    "SENTRY_RELEASE",
    "HEROKU_BUILD_COMMIT",
    "HEROKU_SLUG_COMMIT",
    "SOURCE_VERSION",
    "GIT_REV",
)
# Optional packages, by the setting that needs them (requirements-observability.txt)
OPTIONAL = {
    "SENTRY_DSN": ("sentry_sdk",),
    "OTEL_EXPORTER_OTLP_ENDPOINT": (
        "opentelemetry.sdk",
        "opentelemetry.exporter.otlp.proto.http",
        "opentelemetry.instrumentation.flask",
        "opentelemetry.instrumentation.redis",
        "opentelemetry.instrumentation.sqlalchemy",
    ),
}
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
REDIS_SCHEME = re.compile(r"rediss?(\+cluster|\+sentinel)?")
REDIS_FORM = "it must begin with redis://, redis+cluster:// or redis+sentinel://, or rediss…"
REDIS_PORTS = {"cluster": 6379, "sentinel": 26379}
REDIS_OPTIONS: dict[str, Any] = {
    "socket_timeout": 1,  # s
    "socket_connect_timeout": 1,
    # Once more on a connection that was closed; nobody waits twice for one that hangs.
    "retry": Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
}

# How long the database may take, in seconds, each less than the next: a lock (twice, see
# database.py), a statement, an answer on the socket, gunicorn's graceful stop.
LOCK_SECONDS, STATEMENT_SECONDS, SOCKET_SECONDS = 8, 20, 23
POOL_SECONDS = 5  # for a connection that others have; then the answer is 503
# A connection is closed by us before the server does it, which lets go of what a vanished host
# held; below the idle timeouts of hosted servers and of the networks before them.
POOL_RECYCLE_SECONDS, ABANDONED_SECONDS = 280, 300

# The server must refuse what it would have to cut, whatever the host's own default says.
# group_concat_max_len is in bytes, of one list of a pull that is read at once (see sync/reading).
# MariaDB's limit is for every statement, MySQL's (in ms) for a SELECT; each reads only its own.
MYSQL_SESSION = (
    "SET SESSION sql_mode = 'TRADITIONAL', SESSION group_concat_max_len = 4194304,"
    f" SESSION innodb_lock_wait_timeout = {LOCK_SECONDS},"
    f" SESSION lock_wait_timeout = {LOCK_SECONDS},"
    f" /*M! SESSION max_statement_time = {STATEMENT_SECONDS}, */"
    f" /*!80000 SESSION max_execution_time = {STATEMENT_SECONDS * 1000}, */"
    f" SESSION wait_timeout = {ABANDONED_SECONDS}"
)
# `verify`: the certificate is one of DATABASE_CA's (else of the system's authorities) and is made
# out to the host; `unverified`: encrypted, to whoever answers; `off`: as DATABASE_URL says.
DATABASE_TLS = ("off", "verify", "unverified")


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


def is_this_machine(url: str) -> bool:
    """Whether a database URL leads to a loopback address or a socket in the file system."""
    parts = urlsplit(url)
    host = parts.hostname or "localhost"
    if host == "localhost" or "unix_socket" in dict(parse_qsl(parts.query)):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:  # a name
        return False


def default_tls(environ: Mapping[str, str], url: str, *, is_deployed: bool) -> str:
    """DATABASE_TLS where it is not set: `verify` with a DATABASE_CA, and on the way to another
    machine in staging and production."""
    is_far = is_deployed and not is_this_machine(url)
    return "verify" if environ.get("DATABASE_CA") or is_far else "off"


def tls_context(mode: str, authorities: str, options: Mapping[str, str]) -> ssl.SSLContext:
    """What PyMySQL needs to encrypt: `mode` of DATABASE_TLS, `authorities` the path or the text of
    a PEM file (empty: the system's), `options` the URL's, of which ssl_cert and ssl_key count.

    Raises OSError for a file that is missing or no PEM (ssl.SSLError is one).
    """
    if "-----BEGIN" in authorities:  # some platforms keep no lines in a setting
        context = ssl.create_default_context(cadata=authorities.replace("\\n", "\n"))
    else:
        context = ssl.create_default_context(cafile=authorities or None)
    # What MySQL and MariaDB make for themselves is not up to RFC 5280, strictly; Python 3.13 is.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if mode == "unverified":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if "ssl_cert" in options:
        context.load_cert_chain(options["ssl_cert"], options.get("ssl_key"))
    return context


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


@dataclass(frozen=True)
class RedisServers:
    """A Redis Cluster, or what Sentinels watch: `hosts` are its nodes, or the Sentinels (host,
    port), `service` their name for it ('' for a cluster), `options` are redis-py's for the nodes,
    `sentinel_options` those for the Sentinels."""

    hosts: tuple[tuple[str, int], ...]
    service: str
    options: dict[str, Any]
    sentinel_options: dict[str, Any]


def redis_servers(url: str) -> RedisServers | None:
    """Take `redis+cluster://host:port,…` or `redis+sentinel://host:port,…/service` apart.

    `rediss+…` is with TLS. None for a single Redis. Raises ValueError, TypeError for what is not
    understood.
    """
    parts = urlsplit(url)
    scheme, _, kind = parts.scheme.partition("+")
    if kind not in REDIS_PORTS:
        return None
    user, at, places = parts.netloc.rpartition("@")
    found = [urlsplit(f"//{place}") for place in places.split(",")]
    hosts = tuple((place.hostname or "", place.port or REDIS_PORTS[kind]) for place in found)
    service, _, number = parts.path.strip("/").partition("/")
    if not all(host for host, _ in hosts) or (kind == "sentinel") != bool(service):
        raise ValueError("a host or the service's name is missing, or too much")
    one = f"{scheme}://{user}{at}host/{int(number or 0)}?{parts.query}"
    options: dict[str, Any] = redis.ConnectionPool.from_url(one).connection_kwargs
    del options["host"]
    secure = {"ssl": True} if scheme == "rediss" else {}
    made_by = redis.SSLConnection if secure else redis.Connection
    watched_by = {name: options.pop(f"sentinel_{name}", None) for name in ("username", "password")}
    tls = {name: value for name, value in options.items() if name.startswith("ssl_")}
    made_by(**options)
    return RedisServers(hosts, service, options | secure, watched_by | tls | secure)


class Config:
    """What every environment shares; an instance feeds `app.config.from_object`."""

    APP_ENV: ClassVar[str]
    LOGS_ARE_JSON: ClassVar[bool] = False
    MAIL_TO_CONSOLE: ClassVar[bool] = False
    NEEDS_SERVERS: ClassVar[bool] = False
    LIMITS_BY_DEFAULT: ClassVar[bool] = False
    METRICS_ARE_OPEN: ClassVar[bool] = True
    PROXIES_BY_DEFAULT: ClassVar[int] = 0
    DEMO_FOLDER: ClassVar[Path | None] = None  # no setting: nothing can turn it on elsewhere

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
    COMPRESS_ALGORITHM_STREAMING: ClassVar[list[str]] = ["gzip"]
    COMPRESS_LEVEL = 4
    COMPRESS_MIMETYPES: ClassVar[list[str]] = ["application/json", "application/problem+json"]

    RATELIMIT_STRATEGY = "fixed-window"
    RATELIMIT_FAIL_ON_FIRST_BREACH = False  # Retry-After is that of the longest one
    RATELIMIT_HEADERS_ENABLED = False  # limits.py writes them

    def __init__(self, environ: Mapping[str, str], instance: Path) -> None:
        self._environ = environ
        self._instance = instance
        self._problems: list[str] = []
        self.SQLALCHEMY_DATABASE_URI = self._database()
        self.SQLALCHEMY_ENGINE_OPTIONS = self._engine_options()
        self.REDIS_URL = self._redis()
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
        self.MAX_PUSH_RECORDS = self._number("MAX_PUSH_RECORDS", 50_000)
        self.TRUSTED_PROXIES = self._number("TRUSTED_PROXIES", self.PROXIES_BY_DEFAULT, least=0)
        self.LOG_LEVEL = self._choice("LOG_LEVEL", LOG_LEVELS)
        self.LOG_SQL = self._flag("LOG_SQL", False)
        self.SLOW_SQL_MS = self._number("SLOW_SQL_MS", 500)
        self.METRICS_TOKEN = self._environ.get("METRICS_TOKEN") or None
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
        self.RELEASE = next(filter(None, map(environ.get, RELEASE_VARIABLES)), None)
        self.SENTRY_DSN = self._sentry()
        self.OTEL_EXPORTER_OTLP_ENDPOINT = self._otlp()

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
        threads = self._number("WEB_THREADS", 4, most=1000)
        return {
            "isolation_level": "REPEATABLE READ",  # a pull is one snapshot (contract pull 1)
            "pool_size": threads,
            "max_overflow": threads,  # a request needs one; more for those back from aside
            "pool_timeout": POOL_SECONDS,
            "pool_recycle": POOL_RECYCLE_SECONDS,
            "pool_reset_on_return": None,  # database.py looks after both ends of a loan
            "hide_parameters": True,  # values are people's, and not for logs
            "connect_args": {
                "connect_timeout": 5,  # s, like the others
                "read_timeout": SOCKET_SECONDS,
                "write_timeout": SOCKET_SECONDS,
                "init_command": MYSQL_SESSION,
                **self._database_tls(),
            },
        }

    def _database_tls(self) -> dict[str, ssl.SSLContext]:
        """`ssl` for PyMySQL; nothing where only the URL's own options count."""
        url = self.SQLALCHEMY_DATABASE_URI
        options = dict(parse_qsl(urlsplit(url).query))
        authorities = self._environ.get("DATABASE_CA") or options.get("ssl_ca", "")
        default = default_tls(self._environ, url, is_deployed=self.NEEDS_SERVERS)
        mode = self._choice("DATABASE_TLS", DATABASE_TLS, default)
        if mode == "off":
            return {}
        try:
            return {"ssl": tls_context(mode, authorities, options)}
        except OSError as error:
            reason = error.strerror or type(error).__name__
            self._problems.append(f"DATABASE_CA: no PEM file or text of certificates ({reason})")
            return {}

    def _redis(self) -> str | None:
        url = self._environ.get("REDIS_URL")
        if not url:
            return None
        if not REDIS_SCHEME.fullmatch(urlsplit(url).scheme):
            self._problems.append(f"REDIS_URL: {REDIS_FORM}")
            return None
        if trusted := self._environ.get("REDIS_CA"):
            if not url.startswith("rediss"):
                self._problems.append("REDIS_CA: is for rediss:// alone")
            url += f"{'&' if '?' in url else '?'}{urlencode({'ssl_ca_certs': trusted})}"
        try:
            if servers := redis_servers(url):
                options = servers.options
            else:
                pool = redis.ConnectionPool.from_url(url)
                options = pool.connection_kwargs
                pool.connection_class(**options)
        except (ValueError, TypeError) as error:
            self._problems.append(f"REDIS_URL: {type(error).__name__}, a part is wrong")
            return url
        if options.get("decode_responses"):
            self._problems.append("REDIS_URL: decode_responses is not for this server")
        authority = options.get("ssl_ca_certs")
        if authority and not Path(authority).is_file():
            self._problems.append(f"REDIS_CA or ssl_ca_certs: there is no file {authority}")
        return url

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

    def _sentry(self) -> str | None:
        """`https://<public key>@<host>/<project number>`, as Sentry prints it."""
        dsn = self._environ.get("SENTRY_DSN", "")
        if not dsn:
            return None
        if not re.fullmatch(r"https?://[^\s@/:]+(:[^\s@/]+)?@[^\s@/]+/(\S+/)?[0-9]+", dsn):
            self._problems.append("SENTRY_DSN: it must be https://key@host/number")
        self._check_packages("SENTRY_DSN")
        return dsn

    def _otlp(self) -> str | None:
        """Whether there is a collector; its exporters read this and the other OTEL_… themselves."""
        url = self._environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")
        if not url:
            return None
        if not re.fullmatch(r"https?://[^\s/?#]+[^\s?#]*", url):
            self._problems.append("OTEL_EXPORTER_OTLP_ENDPOINT: it must be http(s)://host:port")
        if self._environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf") != "http/protobuf":
            self._problems.append("OTEL_EXPORTER_OTLP_PROTOCOL: only http/protobuf is spoken here")
        self._check_packages("OTEL_EXPORTER_OTLP_ENDPOINT")
        return url

    def _check_packages(self, name: str) -> None:
        missing = [package for package in OPTIONAL[name] if not _is_installed(package)]
        if missing:
            self._problems.append(
                f"{name}: {', '.join(missing)} not installed"
                " (pip install -r requirements-observability.txt)"
            )

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

    def _choice(self, name: str, choices: tuple[str, ...], default: str = "") -> str:
        value = self._environ.get(name) or default or choices[0]
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
    DEMO_FOLDER = ROOT / "demo" / "dist"


class Testing(Config):
    """The test suite: like development, errors are answered as in production."""

    APP_ENV = "testing"
    TESTING = True
    PROPAGATE_EXCEPTIONS = False


class Production(Config):
    """Real users: refuses to start without a database server, Redis and a real secret."""

    APP_ENV = "production"
    LOGS_ARE_JSON = True
    METRICS_ARE_OPEN = False
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


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # not even what it is a part of
        return False


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
