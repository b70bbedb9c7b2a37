"""The WSGI entry point: `gunicorn wsgi:app`, `flask --app wsgi …`."""

import sys

from environ import ConfigError
from melon_api import create_app
from melon_api.models.names import ModelError
from melon_api.room import AppError

try:
    app = create_app()
except (AppError, ConfigError, ModelError) as error:  # sentences for whoever wrote what is wrong
    sys.exit(str(error))
