"""Python's collector of cycles stands still for all while it looks at every object: a second where
10,000 streams wait. So what has outlived one full look is not looked at again, until as many such
streams have ended as there are: what they leave behind is found then, as seldom as that.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

OLDEST = 2  # generation, of which a look is one at everything
LEAST_ENDED = 1_000  # streams
MOST_KEPT = 1_000  # looks of which the last keeps nothing: the next one is at everything


class Heap:
    """`looks`: how many full ones there were."""

    def __init__(self) -> None:
        self.looks = self._ended = 0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """The whole process's."""
        gc.callbacks.append(self._keep)
        try:
            yield
        finally:
            gc.callbacks.remove(self._keep)
            gc.unfreeze()
            gc.enable()

    def stream_ended(self, begun: int, left: int) -> None:
        """A stream, or a long poll: `begun` at how many looks; `left`: how many go on."""
        if begun == self.looks:
            return  # what it leaves is found by the next one
        self._ended += 1
        if self._ended >= max(left, LEAST_ENDED) and gc.isenabled():
            self._ended = 0
            gc.unfreeze()
            gc.collect()

    def rest(self) -> None:
        """The process stops: what streams leave behind goes with it, and those that are still to be
        told need the time."""
        gc.disable()

    def _keep(self, phase: str, facts: dict[str, Any]) -> None:
        if phase != "stop" or facts["generation"] < OLDEST:
            return
        self.looks += 1
        if self.looks % MOST_KEPT:
            gc.freeze()
        else:
            gc.unfreeze()
