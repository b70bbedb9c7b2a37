"""How long is kept what became of syncs."""

from environ import Settings, number


class HistorySettings(Settings):
    SYNC_HISTORY_DAYS: int = number(
        "how long `flask sync purge` leaves what [`flask sync history`](support.md) tells; `0`:"
        " nothing is written",
        30,
        least=0,
    )
