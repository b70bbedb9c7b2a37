"""The live process whose loop stands still for longer than a request waits for it, at the first
`STANDS_STILL` streams: as where the system gives it no CPU."""

import os
import sys
import time
from itertools import count

from melon_api.live import __main__, app

_times, _opened, _open = int(os.environ["STANDS_STILL"]), count(), app.Live._open
app.OPEN_SECONDS = 0.5


async def _open_late(live: app.Live, stream: app.Stream) -> None:
    if next(_opened) < _times:
        time.sleep(3 * app.OPEN_SECONDS)  # the loop itself
    await _open(live, stream)


app.Live._open = _open_late  # type: ignore[method-assign]

if __name__ == "__main__":
    sys.exit(__main__.main())
