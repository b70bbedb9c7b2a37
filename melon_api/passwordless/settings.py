"""How long a guest's account is kept of whom nobody hears."""

from datetime import timedelta

from environ import Settings, number


class GuestSettings(Settings):
    GUEST_LIFETIME: timedelta = number(
        "a guest without a push for so long is removed by `flask sync purge`",
        180,
        most=36_500,
        unit=timedelta(days=1),
        name="GUEST_LIFETIME_DAYS",
    )
