"""Operation: what is logged, who may scrape, where crashes and traces go."""

import importlib.util
import re
from collections.abc import Mapping
from typing import ClassVar

from environ import Settings, choice, flag, number, setting

LOG_LEVELS = ("INFO", "DEBUG", "WARNING", "ERROR", "CRITICAL")
OTLP = "http/protobuf"
# The commit at work, as platforms call it: Heroku, Dokku.
RELEASE_VARIABLES = ("HEROKU_BUILD_COMMIT", "HEROKU_SLUG_COMMIT", "SOURCE_VERSION", "GIT_REV")
# Optional packages, by the setting that needs them (requirements-observability.txt)
OPTIONAL = {
    "SENTRY_DSN": ("sentry_sdk",),
    "OTEL_EXPORTER_OTLP_ENDPOINT": (
        "opentelemetry.sdk",
        "opentelemetry.exporter.otlp.proto.http",
        "opentelemetry.instrumentation.flask",
        "opentelemetry.instrumentation.redis",
        "opentelemetry.instrumentation.sqlalchemy",
    ),
}


def _sentry(dsn: str) -> str:
    """`https://<public key>@<host>/<project number>`, as Sentry prints it."""
    if not re.fullmatch(r"https?://[^\s@/:]+(:[^\s@/]+)?@[^\s@/]+/(\S+/)?[0-9]+", dsn):
        raise ValueError("it must be https://key@host/number")
    return dsn


def _collector(url: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#]+[^\s?#]*", url):
        raise ValueError("it must be http(s)://host:port")
    return url


class OpsSettings(Settings):
    LOGS_ARE_JSON: ClassVar[bool] = False
    METRICS_ARE_OPEN: ClassVar[bool] = True

    LOG_LEVEL: str = choice("or `DEBUG`, `WARNING`, `ERROR`, `CRITICAL`", LOG_LEVELS)
    LOG_SQL: bool = flag("`true`: each SQL statement is logged, without values")
    SLOW_SQL_MS: int = number("a statement that takes so long is logged always", 500)
    METRICS_TOKEN: str | None = setting(
        str,
        "who scrapes [`/metrics`](operations.md#metrics) sends it;"
        " without, staging and production answer 404",
    )
    SENTRY_DSN: str | None = setting(
        _sentry,
        "crashes go to Sentry; [wants optional packages](operations.md#errors-and-traces),"
        " as the next does",
    )
    OTEL_EXPORTER_OTLP_ENDPOINT: str | None = setting(
        _collector,
        "an OpenTelemetry collector for traces and metrics (New Relic, Datadog …);"
        " the SDK's other `OTEL_…` variables count too",
    )
    OTEL_EXPORTER_OTLP_PROTOCOL: str = setting(
        str, "the only one that is spoken here", default=OTLP
    )
    RELEASE: str | None = setting(
        str,
        "what errors and traces call this release; platforms say it in `HEROKU_BUILD_COMMIT`,"
        " `HEROKU_SLUG_COMMIT`, `SOURCE_VERSION`, `GIT_REV`",
        name="SENTRY_RELEASE",
        also=RELEASE_VARIABLES,
        shown="the commit, where the platform says it",
    )

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(environ)
        if self.OTEL_EXPORTER_OTLP_ENDPOINT and self.OTEL_EXPORTER_OTLP_PROTOCOL != OTLP:
            self.problems.append(f"OTEL_EXPORTER_OTLP_PROTOCOL: only {OTLP} is spoken here")
        self.problems += [sentence for name in OPTIONAL if (sentence := self._missing_for(name))]

    def _missing_for(self, name: str) -> str | None:
        """Unasked, nothing is looked for: to find a part of a package imports the package."""
        missing = [p for p in OPTIONAL[name] if getattr(self, name) and not _is_installed(p)]
        if not missing:
            return None
        hint = "pip install -r requirements-observability.txt"
        return f"{name}: {', '.join(missing)} not installed ({hint})"


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # not even what it is a part of
        return False
