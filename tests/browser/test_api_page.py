"""`/docs` in a real Chromium, against a real gunicorn: what it shows, and its "try it"."""

import os
import subprocess
import time
from pathlib import Path

import jwt
import pytest
from servers import serving

from melon_api.auth.tokens import key_id

HERE = Path(__file__).resolve().parent
SECONDS = 300  # against a hang; a visit takes a few


def expired(key: str) -> str:
    """An access token as the server signs them, of an hour ago."""
    claims = {"sub": "x", "sid": "x", "dev": "x", "type": "access", "fresh": False, "jti": "x"}
    an_hour_ago = int(time.time()) - 3600
    claims_then = claims | {"iat": an_hour_ago - 900, "exp": an_hour_ago}
    return jwt.encode(claims_then, key, algorithm="HS256", headers={"kid": key_id(key)})


# The narrow one is the harder; WINDOWS=1400x900,390x844 looks at both.
@pytest.mark.parametrize("window", os.environ.get("WINDOWS", "390x844").split(","))
def test_the_page_works_without_internet(chromium: str, tmp_path: Path, window: str) -> None:
    """Contract, Service 5: with a token that it was given by itself, on a desk and on a phone; and
    nothing is asked of another host."""
    key = "k" * 40
    with serving("sqlite", tmp_path, 1, JWT_SECRET_KEY=key) as server:
        environ = {"MELON_URL": server.url, "CHROMIUM": chromium, "WINDOW": window}
        done = subprocess.run(
            ["node", "docs.js"],
            cwd=HERE,
            env=os.environ | environ | {"EXPIRED": expired(key)},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the page works" in done.stdout
