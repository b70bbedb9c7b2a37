"""Dump and restore the database that DATABASE_URL names, with the database's own tools.

    python deploy/backup.py dump melon.sql.gz
    python deploy/backup.py restore melon.sql.gz

A dump is one consistent snapshot, taken while the server serves, and has its name only when it is
whole. It is restored into an empty database only. docs/operations.md says what to do around it.
"""

import argparse
import contextlib
import gzip
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from dotenv import find_dotenv, load_dotenv
from sqlalchemy import URL, make_url

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import config
from melon_api.storage.database_settings import (
    ADD_ONS,
    TLS_MODES,
    default_tls,
    sqlalchemy_url,
)

DUMP = ["--single-transaction", "--quick", "--hex-blob", "--no-tablespaces", "--skip-lock-tables"]
# An existing table is then an error, not a loss; and no `CREATE DATABASE` under another name
DUMP += ["--skip-add-drop-table", "--default-character-set=utf8mb4"]
LAST_LINE = b"-- Dump completed"


class BackupError(Exception):
    """What went wrong, for the operator."""


def database() -> URL:
    """Where the server's data is; by default the SQLite file of a laptop."""
    for name in ("DATABASE_URL", *ADD_ONS):
        if url := os.environ.get(name):
            return make_url(sqlalchemy_url(url))
    instance = Path(os.environ.get("INSTANCE_PATH") or config.ROOT / "instance")
    return make_url(f"sqlite:///{instance / 'melon.db'}")


def dump(url: URL, target: Path) -> None:
    """Write a gzip of SQL (of SQLite: of the database file). Raises BackupError."""
    draft = target.with_name(f"{target.name}.partial")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)  # it holds all that people have
    write = _dump_sqlite if url.get_backend_name() == "sqlite" else _dump_mysql
    try:
        with gzip.open(draft, "wb") as file:
            write(url, file)
    except BaseException:
        draft.unlink()
        raise
    draft.replace(target)


def _dump_sqlite(url: URL, file: IO[bytes]) -> None:
    """By SQLite's backup API, as `sqlite3 FILE .backup` does it; readers and writers go on."""
    if not Path(url.database or "").exists():
        raise BackupError(f"{url.database} is not there")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.db"
        with (
            contextlib.closing(sqlite3.connect(str(url.database))) as source,
            contextlib.closing(sqlite3.connect(copy)) as destination,
        ):
            source.backup(destination)
        with copy.open("rb") as content:
            shutil.copyfileobj(content, file)


def _dump_mysql(url: URL, file: IO[bytes]) -> None:
    tool = _tool("mariadb-dump", "mysqldump")
    with _options(url, tool) as options:
        command = [tool, options, *DUMP, str(url.database)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            end = b""
            while chunk := process.stdout.read(1 << 20):  # type: ignore[union-attr]
                file.write(chunk)
                end = (end + chunk)[-200:]
    if process.returncode or LAST_LINE not in end:
        raise BackupError(f"{tool} failed; there is no dump")


def restore(url: URL, source: Path) -> None:
    """Bring a dump back into an empty database. Raises BackupError for one that is not."""
    if url.get_backend_name() == "sqlite":
        _restore_sqlite(url, source)
    else:
        _restore_mysql(url, source)


def _restore_sqlite(url: URL, source: Path) -> None:
    target = Path(url.database or "")
    for path in (target, *(target.with_name(target.name + end) for end in ("-wal", "-shm"))):
        if path.exists():
            raise BackupError(f"{path} is there already: move it away first")
    draft = target.with_name(f"{target.name}.partial")
    with gzip.open(source) as content, draft.open("wb") as file:
        shutil.copyfileobj(content, file)
    with contextlib.closing(sqlite3.connect(draft)) as connection:
        (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
    if verdict != "ok":
        raise BackupError(f"{source} is damaged: {verdict}")
    draft.replace(target)


def _restore_mysql(url: URL, source: Path) -> None:
    client = _tool("mariadb", "mysql")
    with _options(url, client) as options:
        tables = subprocess.run(
            [client, options, "--skip-column-names", "-e", "SHOW TABLES", str(url.database)],
            stdout=subprocess.PIPE,
            check=True,
        ).stdout.split()
        if tables:
            raise BackupError(f"{url.database} has {len(tables)} tables: it must be empty")
        command = [client, options, "--default-character-set=utf8mb4", str(url.database)]
        with (
            gzip.open(source) as content,
            subprocess.Popen(command, stdin=subprocess.PIPE) as process,
        ):
            shutil.copyfileobj(content, process.stdin)  # type: ignore[arg-type]
    if process.returncode:
        raise BackupError(f"{client} failed; empty the database and restore again")


def _tool(*names: str) -> str:
    for name in names:
        if path := shutil.which(name):
            return path
    raise BackupError(f"install {' or '.join(names)} (the database's client package)")


@contextlib.contextmanager
def _options(url: URL, tool: str) -> Iterator[str]:
    """How to connect, in a file of ours alone: a command line is everybody's to read."""
    lines = {"host": url.host, "port": url.port or 3306, "user": url.username}
    lines["password"] = url.password
    query = dict(url.query)
    lines["socket"] = query.get("unix_socket")
    lines |= {"ssl-cert": query.get("ssl_cert"), "ssl-key": query.get("ssl_key")}
    with tempfile.TemporaryDirectory() as folder:
        lines |= _tls(url, tool, Path(folder))
        path = Path(folder) / "options.cnf"
        path.touch(mode=0o600)
        known = (f'{name}="{_escaped(v)}"\n' for name, v in lines.items() if v is not None)
        path.write_text("[client]\n" + "".join(known))
        yield f"--defaults-extra-file={path}"


def _tls(url: URL, tool: str, folder: Path) -> dict[str, str | None]:
    """As the server does it: DATABASE_TLS, DATABASE_CA (the path or the text of a PEM file), and
    the URL's `ssl_ca`."""
    authorities = os.environ.get("DATABASE_CA") or str(url.query.get("ssl_ca", ""))
    name = os.environ.get("APP_ENV") or "development"
    is_deployed = config.ENVIRONMENTS.get(name, config.Production).NEEDS_SERVERS
    text = url.render_as_string(hide_password=False)
    default = default_tls(os.environ.get("DATABASE_CA"), text, is_deployed=is_deployed)
    mode = os.environ.get("DATABASE_TLS", "").lower() or ("verify" if authorities else default)
    if mode not in TLS_MODES:
        raise BackupError(f"DATABASE_TLS: {mode!r} is none of {', '.join(TLS_MODES)}")
    if mode == "off":
        return {}
    if "BEGIN CERTIFICATE" in authorities:
        path = folder / "authorities.pem"
        path.write_text(authorities.replace("\\n", "\n"))
        authorities = str(path)
    is_verified = mode == "verify"
    if "mariadb" in tool:
        asked = {"ssl": "1", "ssl-verify-server-cert": "1" if is_verified else "0"}
    else:
        asked = {"ssl-mode": "VERIFY_IDENTITY" if is_verified else "REQUIRED"}
    return asked | {"ssl-ca": authorities or None}


def _escaped(value: object) -> str:
    return str(value).replace("\\", "\\\\").replace('"', '\\"')


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=["dump", "restore"])
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args()
    load_dotenv(find_dotenv(usecwd=True))  # as the server does
    work = {"dump": dump, "restore": restore}[arguments.what]
    try:
        work(database(), arguments.file)
    except (BackupError, ValueError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"backup: {error}")


if __name__ == "__main__":
    main()
