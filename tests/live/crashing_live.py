"""The live process with a mistake of ours in it: after `CRASH_AFTER` looks at the database its
watch fails, in a way that nobody foresaw."""

import os
import sys
from itertools import count

from melon_api.live import __main__, desk

_most, _looks = int(os.environ["CRASH_AFTER"]), count()
_see = desk.Desk.see


def see(*args: object) -> set[str]:
    if next(_looks) >= _most:
        raise KeyError("a mistake of ours")
    return _see(*args)  # type: ignore[arg-type]


desk.Desk.see = see  # type: ignore[method-assign,assignment]

if __name__ == "__main__":
    sys.exit(__main__.main())
