"""Settings come from the environment: each is declared once, and all that is wrong is collected.

The rooms of `melon_api/` declare theirs with this, and `server/` its own. gunicorn's master does
without the application: nothing is imported here that is not Python's.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

TRUE, FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


class ConfigError(Exception):
    """The environment does not hold what this server needs; the message lists everything."""


@dataclass(kw_only=True)
class Setting:
    """A variable, and the attribute of its class that has the value.

    `parse` makes it of the text, and raises ValueError with what is wrong; `default` is a text as
    well, `deployed` the one of staging and production where that differs. `line` is what the docs
    say of it, `shown` its default there. `name`: of the variable, where the attribute has another
    one; `also`: what platforms call it. An empty variable is not set, unless `is_blank_said`.
    """

    parse: Callable[[str], Any]
    line: str
    default: str = ""
    deployed: str | None = None
    shown: str = ""
    name: str = ""
    also: tuple[str, ...] = ()
    is_blank_said: bool = False
    attribute: str = ""

    def __set_name__(self, _owner: type, attribute: str) -> None:
        self.attribute, self.name = attribute, self.name or attribute

    def said(self, environ: Mapping[str, str]) -> tuple[str, str | None]:
        """Which of its names is set, and to what."""
        for name in (self.name, *self.also):
            if environ.get(name) or (self.is_blank_said and name in environ):
                return name, environ[name]
        return self.name, None


class Settings:
    """A feature's settings: class attributes made by `setting`, `flag`, `number`, `choice`, `text`.

    An instance has their values; `problems` is every missing or wrong one, a sentence each. What
    follows from several of them, a class adds behind `super().__init__`.
    """

    NEEDS_SERVERS: ClassVar[bool] = False  # staging and production

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.problems: list[str] = []
        for declared in self.declared():
            setattr(self, declared.attribute, self._value(declared, environ))

    @classmethod
    def declared(cls) -> list[Setting]:
        """Its own and those of the classes it is made of."""
        found = [vars(kind).values() for kind in reversed(cls.__mro__)]
        return [value for values in found for value in values if isinstance(value, Setting)]

    def check(self, sentence: str) -> None:
        """Raises ConfigError that begins with this sentence, if there are problems."""
        if self.problems:
            raise ConfigError("\n".join([f"{sentence}:", *(f"  - {p}" for p in self.problems)]))

    def _value(self, declared: Setting, environ: Mapping[str, str]) -> Any:
        name, text = declared.said(environ)
        if text is not None:
            try:
                return declared.parse(text)
            except ValueError as error:
                self.problems += [f"{name}: {reason}" for reason in error.args]
        is_other = self.NEEDS_SERVERS and declared.deployed is not None
        return declared.parse(str(declared.deployed if is_other else declared.default))


class InFolder(Settings):
    """Those of what a server keeps in a folder of its own."""

    INSTANCE_PATH: Path = Setting(  # type: ignore[assignment]
        parse=Path,
        line="where SQLite, the made secret and the mails of development are",
        default="instance",
    )


def setting(parse: Callable[[str], Any], line: str, **more: Any) -> Any:
    """One of its own kind; None when it is not set and has no default. `more`: see `Setting`."""
    return Setting(parse=lambda text: parse(text) if text else None, line=line, **more)


def listed(parse: Callable[[list[str]], Any], line: str, **more: Any) -> Any:
    """Several with commas between; none when it is not set."""

    def split(text: str) -> Any:
        return parse([item for part in text.split(",") if (item := part.strip())])

    return Setting(parse=split, line=line, **more)


def text(line: str, **more: Any) -> Any:
    """A line of text."""

    def parse(value: str) -> str:
        if not value.isprintable():
            raise ValueError("one line of text is needed")
        return value

    return Setting(parse=parse, line=line, **more)


def flag(line: str, default: str = "false", **more: Any) -> Any:
    """True or false."""

    def parse(value: str) -> bool:
        word = value.strip().lower()
        if word not in TRUE + FALSE:
            raise ValueError(f"{value!r} is neither true nor false")
        return word in TRUE

    return Setting(parse=parse, line=line, default=default, **more)


def number(
    line: str, default: int, *, least: int = 1, most: int = 10**9, unit: Any = 1, **more: Any
) -> Any:
    """A whole number, times `unit`."""

    def parse(value: str) -> Any:
        if not (re.fullmatch(r"[0-9]{1,9}", value) and least <= int(value) <= most):
            raise ValueError(f"{value!r} is no whole number from {least} to {most}")
        return int(value) * unit

    return Setting(parse=parse, line=line, default=str(default), **more)


def choice(line: str, choices: tuple[str, ...], default: str | None = None, **more: Any) -> Any:
    """One of these words, in any case; the first when it is not set and has no default."""
    by_case = {word.lower(): word for word in choices}

    def parse(value: str) -> str:
        if value and value.lower() not in by_case:
            raise ValueError(f"{value!r} is none of {', '.join(choices)}")
        return by_case.get(value.lower(), "")

    first = choices[0] if default is None else default
    return Setting(parse=parse, line=line, default=first, **more)


# gunicorn's, and as many connections to the database.
THREADS: Any = number(
    "requests that work at once in each worker; [others wait](architecture.md#who-waits-for-whom)",
    4,
    most=1000,
)
