"""Drop every table of the database that DATABASE_URL names, under the server that uses it."""

import os

from sqlalchemy import MetaData, create_engine

import config

engine = create_engine(config.sqlalchemy_url(os.environ["DATABASE_URL"]))
tables = MetaData()
tables.reflect(engine)
tables.drop_all(engine)
