"""`python -m melon_api.live`: the process that streams, on PORT, else LIVE_PORT."""

import asyncio
import logging
import os
import signal
import sys
import threading
import time

from dotenv import find_dotenv, load_dotenv

from environ import ConfigError

BESIDE = "--beside"  # ends with the process that started it
LOOK_SECONDS = 0.5


def main() -> int:
    """The exit code: 0 after SIGTERM, 1 where it cannot start, or not go on."""
    load_dotenv(find_dotenv(usecwd=True))  # as gunicorn does
    from config import load  # noqa: PLC0415 - it puts together what the rooms declare
    from melon_api.live.app import Live  # noqa: PLC0415
    from melon_api.live.server import serve  # noqa: PLC0415

    try:
        settings = load()
    except ConfigError as error:
        sys.exit(str(error))
    live = Live(settings)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # strangers' nonsense are warnings
    if BESIDE in sys.argv[1:]:
        threading.Thread(target=_end_with, args=[os.getppid()], daemon=True).start()
    return asyncio.run(serve(live, settings))


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
