"""A length of time on the command line."""

import re
from typing import Any

import click

UNITS_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}


class Duration(click.ParamType[int]):
    """`90d`, `12h`, `30m`, in ms."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"([0-9]{1,5})([mhd])", value)
        if not match:
            self.fail(f"{value!r} is no duration; write 90d, 12h or 30m", param, ctx)
        return int(match[1]) * UNITS_MS[match[2]]
