"""A database that is migrated once, and is as it was then before each test."""

import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

from sqlalchemy import Engine, MetaData, NullPool, create_engine, select

from melon_api.storage.database_settings import sqlalchemy_url

NAME = "melon_test_"  # and a random part: nobody's own


class Database(Protocol):
    """`url`: as the setting DATABASE_URL has it."""

    url: str

    def keep(self, engine: Engine) -> None:
        """It is migrated: so is it to be before each test."""

    def restore(self, engine: Engine) -> None:
        """As it was when it was kept."""


class SQLite:
    """A file, which is put back as a whole."""

    def __init__(self, folder: Path) -> None:
        self._file, self._kept = folder / "test.db", folder / "kept.db"
        self.url = f"sqlite:///{self._file}"

    def keep(self, engine: Engine) -> None:
        engine.dispose()  # the last connection writes its journal into the file
        shutil.copy(self._file, self._kept)

    def restore(self, engine: Engine) -> None:
        engine.dispose()
        for path in self._file.parent.glob(f"{self._file.name}*"):  # with its journal
            path.unlink()
        shutil.copy(self._kept, self._file)


class OnServer:
    """A database of MariaDB's or MySQL's; its tables stay, their rows are put back."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._rows: list[tuple[Any, Sequence[Any]]] = []

    def keep(self, engine: Engine) -> None:
        metadata = MetaData()
        metadata.reflect(engine)
        with engine.connect() as connection:
            self._rows = [
                (table, [dict(row) for row in connection.execute(select(table)).mappings()])
                for table in metadata.tables.values()
            ]

    def restore(self, engine: Engine) -> None:
        with engine.begin() as connection:
            connection.exec_driver_sql("SET SESSION foreign_key_checks = 0")
            for table, rows in self._rows:
                connection.execute(table.delete())
                if rows:
                    connection.execute(table.insert(), rows)
            connection.exec_driver_sql("SET SESSION foreign_key_checks = 1")


@contextmanager
def database(server: str | None, folder: Path) -> Iterator[Database]:
    """An empty one: a file in `folder`, or one on this server that is dropped at the end. Raises
    ValueError for a URL with a database in it: it is somebody's."""
    if server is None:
        yield SQLite(folder)
        return
    parts = urlsplit(server)
    if parts.path.strip("/"):
        raise ValueError("name a server, not a database: tests make one of their own there")
    name = NAME + uuid.uuid4().hex[:12]
    engine = create_engine(sqlalchemy_url(server), poolclass=NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    try:
        yield OnServer(urlunsplit(parts._replace(path=f"/{name}")))
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name}")
