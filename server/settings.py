"""Where and how gunicorn serves.

`gunicorn.conf.py` obeys them; `config.py` checks them as well, so that a release or `flask db
upgrade` says what is wrong before anything starts: of `WEB_CONCURRENCY` gunicorn makes a traceback.
"""

import re
from pathlib import Path

from environ import Settings, number, setting


def seconds(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]+)?", text):
        raise ValueError(f"{text!r} is no number of seconds")
    return float(text)


def folder(text: str) -> str:
    if not Path(text).is_dir():
        raise ValueError(f"{text!r} is no folder")
    return text


class ServerSettings(Settings):
    # A platform says where with PORT alone, and its router comes from another machine.
    HOST: str = setting(
        str,
        "where to listen",
        default="127.0.0.1",
        deployed="0.0.0.0",  # noqa: S104
    )
    PORT: int = number("the port there", 8000, least=0, most=65_535)
    # One for each core; a thread waits for the database while another one works.
    WEB_CONCURRENCY: int = number("gunicorn's workers", 2, is_blank_said=True)
    # Balancers ask every few seconds, and routers hear of a stop when we do.
    DRAIN_SECONDS: float = setting(
        seconds,
        "how long a stopping server takes requests while"
        " [`/readyz` says 503](operations.md#stop-and-no-request-lost)",
        default="0",
        deployed="5",
    )
    # A phone that has left its network says no word of it, and a stranger may have come for that.
    SILENCE_SECONDS: int = number(
        "how long a connection may say nothing and the head of a request take; and how long a"
        " stretch is in which 1 kB/s of a body or an answer must move. Then it is closed",
        20,
    )
    PROMETHEUS_MULTIPROC_DIR: str | None = setting(
        folder, "where the workers keep their counts", shown="a new folder"
    )
