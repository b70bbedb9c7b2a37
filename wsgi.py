"""The WSGI entry point: `gunicorn wsgi:app`, `flask --app wsgi …`."""

import sys

from environ import ConfigError
from melon_api import create_app
from melon_api.models.checks import ModelError

try:
    app = create_app()
except (ConfigError, ModelError) as error:  # sentences for whoever wrote them, no fault of ours
    sys.exit(str(error))
