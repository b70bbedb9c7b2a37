"""What a command that loads says while it runs, on stderr: each bad line, and how far it is."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import click

MOST_LETTERS = 400  # of what is said about a line
STEPS = 200  # of the bar


class Report:
    """`bad`: how many lines were reported."""

    def __init__(self) -> None:
        self.bad = 0
        self._bar: Any = None
        self._file: Any = None

    def __call__(self, number: int, sentence: str) -> None:
        """Say what is wrong with a line; whatever stood in it cannot pretend to be another one."""
        self.bad += 1
        text = "".join(c if c.isprintable() else "?" for c in sentence[: MOST_LETTERS + 1])
        cut = f"{text[:MOST_LETTERS]}…" if len(text) > MOST_LETTERS else text
        over = "\r\033[K" if self._bar else ""  # the bar comes again below
        click.echo(f"{over}line {number}: {cut}", err=True)

    @contextmanager
    def following(self, file: BinaryIO) -> Iterator[None]:
        """Show how far the file has come, where somebody looks and it has an end."""
        size = _size(file)
        if not size or not sys.stderr.isatty():
            yield
            return
        steps = max(size // STEPS, 1)
        bar: Any
        with click.progressbar(length=size, file=sys.stderr, update_min_steps=steps) as bar:
            self._bar, self._file = bar, file
            yield
            bar.update(size - bar.pos)
            self._bar = None

    def moved(self, done: int, read: int) -> None:
        """So many lines are done of those that have been read."""
        if self._bar is not None and read:
            reached = self._file.tell() * done // read
            self._bar.update(max(reached - self._bar.pos, 0))

    def end(self, sentence: str) -> None:
        """The last line. Ends the command with 1 when there were bad ones."""
        click.echo(f"{sentence} Bad lines: {self.bad}." if self.bad else sentence)
        if self.bad:
            raise click.exceptions.Exit(1)


def _size(file: Any) -> int:
    """0 for what has no end that is known, as stdin."""
    try:
        return os.fstat(file.fileno()).st_size if file.seekable() else 0
    except OSError:
        return 0
