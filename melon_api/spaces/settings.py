"""Spaces: how many there may be, and how many people in one."""

from environ import Settings, number


class SpaceSettings(Settings):
    MAX_SPACES_PER_ACCOUNT: int = number(
        "most shared spaces that an account is in; `0`: nobody makes or joins one,"
        " for as long as a release before spaces serves beside this one",
        100,
        least=0,
    )
    MAX_MEMBERS_PER_SPACE: int = number("most members of a shared space", 1_000)
