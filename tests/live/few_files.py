"""The live process where the system lets it have `FILES` files and no more."""

import os
import resource
import sys

most = int(os.environ["FILES"])
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

from melon_api.live import __main__  # noqa: E402 - its limit is read when it starts

if __name__ == "__main__":
    sys.exit(__main__.main())
