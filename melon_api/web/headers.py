"""What every answer carries beside its body: who may read it (CORS), and how it is compressed."""

from flask import Flask
from flask_compress import Compress
from flask_cors import CORS

cors = CORS()
compress = Compress()

# Those a browser app may read.
ANSWER_HEADERS = ["X-Request-ID", "Retry-After"]
ANSWER_HEADERS += ["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"]


def init_app(app: Flask) -> None:
    """Bind both extensions; their settings are in settings.py."""
    if origins := app.config["CORS_ORIGINS"]:  # or nothing, looked for in every answer
        cors.init_app(app, origins=origins, expose_headers=ANSWER_HEADERS)
    compress.init_app(app)
