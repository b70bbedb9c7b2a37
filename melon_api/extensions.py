"""The extensions, unbound; `init_app` binds them to an application."""

from flask import Flask
from flask_compress import Compress
from flask_cors import CORS
from flask_jwt_extended import JWTManager
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_sqlalchemy import SQLAlchemy

from melon_api.models.base import Base

db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})
jwt = JWTManager()
limiter = Limiter(key_func=get_remote_address)
cors = CORS()
compress = Compress()

# Those a browser app may read.
ANSWER_HEADERS = ["X-Request-ID", "Retry-After"]
ANSWER_HEADERS += ["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"]


def init_app(app: Flask) -> None:
    """Bind every extension; the settings are in `config.py`."""
    db.init_app(app)
    jwt.init_app(app)
    limiter.init_app(app)
    cors.init_app(app, origins=app.config["CORS_ORIGINS"], expose_headers=ANSWER_HEADERS)
    compress.init_app(app)
