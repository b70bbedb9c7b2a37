"""Sync: how much one push may bring, and what happens to a conflict."""

from environ import Settings, choice, number


class SyncSettings(Settings):
    SYNC_CONFLICT_POLICY: str = choice(
        "or `reject`: every conflict is a 409", ("last_write_wins", "reject")
    )
    MAX_PUSH_RECORDS: int = number(
        "most records and deletions in one push; a larger one is a 413,"
        " and the stock client pushes all it has at once",
        50_000,
    )


RULES = "melon_rules"  # of the app: where the application has them
