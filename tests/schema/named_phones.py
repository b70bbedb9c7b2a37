"""Run inside a copy of the project that has the names of `tests/own_tables/named_models.py`.

Not collected by itself; `test_named.py` runs it there, on the database in `BACKEND`.
"""

import os
from pathlib import Path

from printed import node
from servers import serving


def test_both_clients_hold_the_same(tmp_path: Path) -> None:
    """Contract push 3, 4 and 7, pull 2 and 3, Verify 2."""
    with serving(os.environ["BACKEND"], tmp_path, workers=1) as server:
        said = node("named.js", MELON_URL=server.url)
        assert "both clients hold the same" in said
        assert "Traceback" not in server.log.read_text(errors="replace"), server.log_tail()
