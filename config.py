"""Settings, read from the environment when the application is made, never at import.

Each is declared in the room that it sets (`settings.py` there); one class per `APP_ENV` puts them
together. All that is missing or wrong is named at once, so that a deploy fails with one complete
list instead of one sentence per attempt.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from environ import ConfigError, Setting
from melon_api.auth.passwords.settings import PasswordSettings
from melon_api.auth.settings import TokenSettings
from melon_api.events.webhooks.settings import EventSettings
from melon_api.history.settings import HistorySettings
from melon_api.live.settings import LiveSettings
from melon_api.ops.settings import OpsSettings
from melon_api.passwordless.oidc.settings import OidcSettings
from melon_api.passwordless.settings import GuestSettings
from melon_api.room import RoomSettings
from melon_api.spaces.settings import SpaceSettings
from melon_api.storage.database_settings import DatabaseSettings
from melon_api.storage.redis_settings import RedisSettings
from melon_api.sync.rules.settings import SyncSettings
from melon_api.web.settings import LimitSettings, WebSettings
from server.settings import ServerSettings

ROOT = Path(__file__).resolve().parent


class Config(
    ServerSettings,
    LiveSettings,
    OpsSettings,
    HistorySettings,
    EventSettings,
    SpaceSettings,
    SyncSettings,
    LimitSettings,
    WebSettings,
    GuestSettings,
    OidcSettings,
    PasswordSettings,
    TokenSettings,
    RedisSettings,
    DatabaseSettings,
    RoomSettings,
):
    """What every environment shares; an instance feeds `app.config.from_object`."""

    APP_ENV: ClassVar[str]
    MIGRATIONS = ROOT / "migrations"


class Development(Config):
    """A laptop: SQLite, no Redis, a secret of its own in `instance/`, mails there as well."""

    APP_ENV = "development"
    MAIL_IS_KEPT = True
    RUNS_EVENTS = True
    DEMO_FOLDER = ROOT / "demo" / "dist"


class Testing(Config):
    """The test suite: like development, errors are answered as in production."""

    APP_ENV = "testing"
    TESTING = True
    PROPAGATE_EXCEPTIONS = False


class Production(Config):
    """Real users: refuses to start without a database server, Redis and a real secret."""

    APP_ENV = "production"
    LOGS_ARE_JSON = True
    METRICS_ARE_OPEN = False
    NEEDS_SERVERS = True


class Staging(Production):
    """Production's rehearsal, with the same demands."""

    APP_ENV = "staging"


ENVIRONMENTS = {kind.APP_ENV: kind for kind in (Development, Testing, Staging, Production)}
APP_ENV = Setting(
    parse=str,
    line="or `testing`, `staging`, `production`",
    default="development",
    name="APP_ENV",
)


def load(environ: Mapping[str, str] | None = None, instance: Path | None = None) -> Config:
    """The settings for `APP_ENV`. Raises ConfigError that lists every problem at once."""
    environ = os.environ if environ is None else environ
    instance = instance or Path(environ.get("INSTANCE_PATH") or ROOT / "instance")
    name = environ.get("APP_ENV") or APP_ENV.default
    if name not in ENVIRONMENTS:
        raise ConfigError(f"APP_ENV: {name!r} is none of {', '.join(ENVIRONMENTS)}")
    config = ENVIRONMENTS[name]({**environ, "INSTANCE_PATH": str(instance)})
    config.check(f"cannot start in {name}")
    return config


def declared() -> list[Setting]:
    """Every setting, in the order of docs/settings.md."""
    return [APP_ENV, *Config.declared()]
