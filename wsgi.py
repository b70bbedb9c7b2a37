"""The WSGI entry point: `gunicorn wsgi:app`, `flask --app wsgi …`."""

from melon_api import create_app

app = create_app()
