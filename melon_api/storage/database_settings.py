"""The database: where it is, how it is reached, and how long it may take."""

import ssl
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from environ import THREADS, InFolder, choice, setting

ADD_ONS = ("JAWSDB_URL", "JAWSDB_MARIA_URL", "CLEARDB_DATABASE_URL")
MYSQL_SCHEMES = ("mysql", "mysql2", "mariadb", "mysql+pymysql", "mariadb+pymysql")
# `verify`: the certificate is one of DATABASE_CA's (else of the system's authorities) and is made
# out to the host; `unverified`: encrypted, to whoever answers; `off`: as DATABASE_URL says.
TLS_MODES = ("off", "verify", "unverified")

# How long the database may take, in seconds, each less than the next: a lock (twice, see
# transactions.py), a statement, an answer on the socket, gunicorn's graceful stop.
LOCK_SECONDS, STATEMENT_SECONDS, SOCKET_SECONDS = 8, 20, 23
POOL_SECONDS = 5  # for a connection that others have; then the answer is 503
# A connection is closed by us before the server does it, which lets go of what a vanished host
# held; below the idle timeouts of hosted servers and of the networks before them.
POOL_RECYCLE_SECONDS, ABANDONED_SECONDS = 280, 300

# The server must refuse what it would have to cut, whatever the host's own default says.
# group_concat_max_len is in bytes, of one list of a pull that is read at once (see sync/sql).
# MariaDB's limit is for every statement, MySQL's (in ms) for a SELECT; each reads only its own.
MYSQL_SESSION = (
    "SET SESSION sql_mode = 'TRADITIONAL', SESSION group_concat_max_len = 4194304,"
    f" SESSION innodb_lock_wait_timeout = {LOCK_SECONDS},"
    f" SESSION lock_wait_timeout = {LOCK_SECONDS},"
    f" /*M! SESSION max_statement_time = {STATEMENT_SECONDS}, */"
    f" /*!80000 SESSION max_execution_time = {STATEMENT_SECONDS * 1000}, */"
    f" SESSION wait_timeout = {ABANDONED_SECONDS}"
)


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


def default_tls(authorities: str | None, url: str, *, is_deployed: bool) -> str:
    """DATABASE_TLS where it is not set: `verify` with a DATABASE_CA, and on the way to another
    machine in staging and production."""
    return "verify" if authorities or (is_deployed and not is_this_machine(url)) else "off"


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


class DatabaseSettings(InFolder):
    DATABASE_URL: str | None = setting(
        sqlalchemy_url,
        "`mysql://user:password@host/name`, as the platform gives it;"
        " also read: `JAWSDB_URL`, `JAWSDB_MARIA_URL`, `CLEARDB_DATABASE_URL`",
        shown="SQLite in `instance/`",
        also=ADD_ONS,
    )
    DATABASE_TLS: str = choice(
        "`verify`: the certificate is one of `DATABASE_CA` and the host's;"
        " `unverified`: encrypted only; `off`",
        TLS_MODES,
        default="",
        shown="`verify` in staging and production, unless the database is on this machine",
    )
    DATABASE_CA: str | None = setting(
        str,
        "path or text of a PEM file; setting it turns verification on",
        shown="the system's authorities",
    )
    WEB_THREADS: int = THREADS

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(environ)
        url = self.DATABASE_URL or f"sqlite:///{self.INSTANCE_PATH / 'melon.db'}"
        self.SQLALCHEMY_DATABASE_URI = url
        self.SQLALCHEMY_ENGINE_OPTIONS: dict[str, Any]
        if url.startswith("sqlite"):
            self.SQLALCHEMY_ENGINE_OPTIONS = {
                "hide_parameters": True,
                "connect_args": {"timeout": 30},
            }
            if self.NEEDS_SERVERS:
                self.problems.append(
                    "DATABASE_URL: a MySQL or MariaDB server is needed (mysql://…)"
                )
        else:
            self.SQLALCHEMY_ENGINE_OPTIONS = self._mysql_options(url)

    def _mysql_options(self, url: str) -> dict[str, Any]:
        return {
            "isolation_level": "REPEATABLE READ",  # a pull is one snapshot (contract pull 1)
            "pool_size": self.WEB_THREADS,
            # A request needs one; more for who is back from aside, large pulls and a scan.
            "max_overflow": max(self.WEB_THREADS, 4),
            "pool_timeout": POOL_SECONDS,
            "pool_recycle": POOL_RECYCLE_SECONDS,
            "pool_reset_on_return": None,  # engine.py looks after both ends of a loan
            "hide_parameters": True,  # values are people's, and not for logs
            "connect_args": {
                "connect_timeout": 5,  # s, like the others
                "read_timeout": SOCKET_SECONDS,
                "write_timeout": SOCKET_SECONDS,
                "init_command": MYSQL_SESSION,
                **self._tls(url),
            },
        }

    def _tls(self, url: str) -> dict[str, ssl.SSLContext]:
        """`ssl` for PyMySQL; nothing where only the URL's own options count."""
        options = dict(parse_qsl(urlsplit(url).query))
        default = default_tls(self.DATABASE_CA, url, is_deployed=self.NEEDS_SERVERS)
        mode = self.DATABASE_TLS or default
        if mode == "off":
            return {}
        try:
            authorities = self.DATABASE_CA or options.get("ssl_ca", "")
            return {"ssl": tls_context(mode, authorities, options)}
        except OSError as error:
            reason = error.strerror or type(error).__name__
            self.problems.append(f"DATABASE_CA: no PEM file or text of certificates ({reason})")
            return {}
