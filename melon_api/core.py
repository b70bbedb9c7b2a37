"""What every process of ours stands on, whichever calls it answers."""

from melon_api.auth import tokens
from melon_api.models.base import db
from melon_api.ops import health, logs, metrics, queries, reports
from melon_api.storage import engine, redis_cache
from melon_api.web import headers, limits, problems, request


def create_core(name: str, settings: object) -> request.Application:
    """An application with settings, logs, database, Redis, tokens and errors, and what its
    operator asks; without calls."""
    app = request.Application(name, static_folder=None)
    app.config.from_object(settings)
    app.url_map.strict_slashes = app.url_map.merge_slashes = False  # nothing redirects
    logs.init_app(app)
    reports.init_app(app)
    db.init_app(app)
    limits.init_app(app)
    headers.init_app(app)
    tokens.init_app(app)
    engine.init_app(app)
    queries.init_app(app)
    reports.init_database(app)
    redis_cache.init_app(app)
    problems.init_app(app)
    request.init_app(app)
    health.init_app(app)
    metrics.init_app(app)
    return app
