"""Sign in through the stock flow of a real OpenID client library, against the local issuer."""

import os
import subprocess
from pathlib import Path

from conftest import install_packages
from issuer import LocalIssuer
from servers import serving

HERE = Path(__file__).resolve().parent


def test_a_stock_openid_client_signs_in(tmp_path: Path) -> None:
    """Contract, Accounts 14 and 15: discovery, PKCE, state and nonce are the library's own."""
    install_packages(HERE)
    with LocalIssuer() as issuer:
        own = {"OIDC_LOCAL_ISSUER": issuer.url, "OIDC_LOCAL_CLIENT_IDS": "app.melon"}
        with serving("sqlite", tmp_path, 1, **own) as server:
            environ = {"MELON_URL": server.url, "MELON_ISSUER": issuer.url}
            done = subprocess.run(
                ["node", "sign_in.mjs"],
                cwd=HERE,
                env=os.environ | environ,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "signed in by the stock flow" in done.stdout
