"""What is reported to other services, where a setting names one.

Their packages are optional: they are not imported before a setting asks for them.
"""

from flask import Flask


def init_app(app: Flask) -> None:
    """Call it before anything else looks at requests: a refused one is traced, too."""
    if app.config["SENTRY_DSN"]:
        from melon_api.ops import sentry  # noqa: PLC0415 - optional

        sentry.init_app(app)
    if app.config["OTEL_EXPORTER_OTLP_ENDPOINT"]:
        from melon_api.ops import telemetry  # noqa: PLC0415 - optional

        telemetry.init_app(app)


def init_database(app: Flask) -> None:
    """The rest, when the database's engine is there."""
    if app.config["OTEL_EXPORTER_OTLP_ENDPOINT"]:
        from melon_api.ops import telemetry  # noqa: PLC0415 - optional

        telemetry.trace_sql(app)
