"""A JsonText column in each database: the text as it was written, and a migration that stays."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from conftest import DATABASES, fresh_database
from sqlalchemy import Column, MetaData, Table, create_engine, insert, select

from melon_api.models.base import MOST_JSON_BYTES, TABLE_OPTIONS, TEXT_BYTES, JsonText
from melon_api.storage.database_settings import sqlalchemy_url

# What the databases' own JSON types would write anew.
TEXTS = ['{"b": 1,  "a": 1.0, "a": 2}', "[1e2,\n -0]", '"\\u00fc\\ud83d"', " {} ", '{"ü":"📷"}']


@pytest.mark.parametrize("database", DATABASES)
def test_it_is_kept_and_migrated_as_it_is(database: str, tmp_path: Path) -> None:
    metadata = MetaData()
    short, long = Column("short", JsonText()), Column("long", JsonText(TEXT_BYTES + 1))
    table = Table("json_texts", metadata, short, long, **TABLE_OPTIONS)
    whole = '"' + "x" * (MOST_JSON_BYTES - 2) + '"'
    with fresh_database(database, tmp_path) as url:
        engine = create_engine(sqlalchemy_url(url))
        with engine.begin() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert "json_texts" in str(compare_metadata(context, metadata))
            metadata.create_all(connection)
            assert "json_texts" not in str(compare_metadata(context, metadata))
            for text in [*TEXTS, whole]:
                connection.execute(insert(table).values(long=text))
            assert set(connection.scalars(select(long))) == {*TEXTS, whole}
        engine.dispose()
