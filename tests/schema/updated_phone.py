"""Run inside a copy of the project that has the tables of docs/own-tables.md.

Not collected by itself; `test_grown.py` runs it there, with the apps in `OLD` and `NEW`.
"""

import os
from pathlib import Path

from printed import node
from servers import serving


def test_a_phone_of_version_1_is_updated(tmp_path: Path) -> None:
    """Contract pull 5: by its migrations, and by migration sync with the real server."""
    apps = {name: os.environ[name] for name in ("OLD", "NEW")}
    with serving("sqlite", tmp_path, workers=1) as server:
        said = node("grown.js", MELON_URL=server.url, **apps)
    assert "the updated phone has it all" in said
