"""What is looked at again and again while something else runs."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Seen = TypeVar("Seen")


@contextmanager
def sampled(look: Callable[[], Seen], pause: float) -> Iterator[list[tuple[float, Seen]]]:
    """What `look` sees, each with its moment (s since the epoch); `pause`: seconds between."""
    found, is_over = list[tuple[float, Seen]](), threading.Event()

    def run() -> None:
        while not is_over.wait(pause):
            found.append((time.time(), look()))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        is_over.set()
        thread.join()
