"""The docs' pages in a real Chromium, against a real gunicorn: on a phone and on a desk."""

from pathlib import Path

import pytest
from servers import serving
from test_demo import HERE, run


@pytest.mark.parametrize("window", ["390x844", "1200x900"])
def test_the_docs_can_be_read_and_searched(chromium: str, tmp_path: Path, window: str) -> None:
    """Contract, Service 5: without internet, and with no complaint of the browser."""
    with serving("sqlite", tmp_path, 1) as server:
        environ = {"MELON_URL": server.url, "CHROMIUM": chromium, "WINDOW": window}
        said = run("node", "pages.js", folder=HERE, **environ)
    assert "the docs can be read" in said
