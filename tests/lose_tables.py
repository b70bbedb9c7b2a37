"""Drop every table of the database that DATABASE_URL names, under the server that uses it."""

import os

from sqlalchemy import MetaData, create_engine

from melon_api.storage.database_settings import sqlalchemy_url

engine = create_engine(sqlalchemy_url(os.environ["DATABASE_URL"]))
tables = MetaData()
tables.reflect(engine)
tables.drop_all(engine)
