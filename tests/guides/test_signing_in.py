"""docs/signing-in.md: its `call` is run as printed, and its figures are the server's."""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import jwt
from conftest import missing
from phones_app import block
from servers import serving

import config
from melon_api.auth.tokens import key_id
from melon_api.web.problems import by_code

HERE = Path(__file__).resolve().parent
PAGE = (config.ROOT / "docs" / "signing-in.md").read_text()
KEY = "k" * 40


def expired() -> str:
    """An access token as the server signs them, of an hour ago."""
    claims = {"sub": "x", "sid": "x", "dev": "x", "type": "access", "fresh": False, "jti": "x"}
    then = int(time.time()) - 3600
    dated = claims | {"iat": then - 900, "exp": then}
    return jwt.encode(dated, KEY, algorithm="HS256", headers={"kid": key_id(KEY)})


def test_the_calls_snippet_works_as_printed(tmp_path: Path) -> None:
    if not shutil.which("node"):
        missing("node")
    (tmp_path / "tokens").write_text(block(PAGE, "tokens"))
    with serving("sqlite", tmp_path, 1, JWT_SECRET_KEY=KEY) as server:
        environ = {"MELON_URL": server.url, "SNIPPET": str(tmp_path / "tokens")}
        done = subprocess.run(
            ["node", "tokens.mjs"],
            cwd=HERE,
            env=os.environ | environ | {"EXPIRED": expired()},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the tokens live" in done.stdout


def test_its_figures_are_the_servers(tmp_path: Path) -> None:
    settings = config.load({}, tmp_path)
    days = settings.SESSION_LIFETIME.days
    assert f"| access token | {settings.ACCESS_TOKEN_LIFETIME.seconds // 60} minutes |" in PAGE
    assert (
        f"{settings.REFRESH_TOKEN_LIFETIME.days} days from its last use, {days} days from" in PAGE
    )
    assert not set(re.findall(r"`(token_\w+)`", PAGE)) - by_code().keys()
