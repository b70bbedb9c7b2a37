"""Where the live process listens, and for how many."""

from environ import Settings, choice, number


class LiveSettings(Settings):
    LIVE_PORT: int = number(
        "the port of the [live process](live.md), where PORT is not set for it", 8001, most=65_535
    )
    LIVE_STREAMS: int = number(
        "streams and long polls at once in a live process; more are 503", 10_000
    )
    MELON_ROLE: str = choice(
        "or `live`: what the Procfile's `web` is;"
        " a platform with one port for each app runs a [second app](live.md#where-it-runs)",
        ("web", "live"),
    )
