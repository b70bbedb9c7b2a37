"""The stock client's phones of three people who share (tests/client/sharing_chaos.js), against a
real gunicorn with the tables of tests/shared_app; in a process of its own, as it has other tables:

    MELON_SEEDS=1,2 MELON_ROUNDS=20 python tests/spaces/stock_chaos.py mariadb [kill]

With MELON_RECORD=FILE (an absolute path) each request, answer and edit on a phone is a line of it.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS.parent), str(TESTS)]
os.environ["TEST_APP"] = "tests.shared_app"

from servers import serving  # noqa: E402


def main(backend: str, *options: str) -> int:
    with tempfile.TemporaryDirectory() as folder, serving(backend, Path(folder)) as server:
        killed = {"MELON_KILL": str(server.pid)} if "kill" in options else {}
        environ = os.environ | {"MELON_URL": server.url, "NO_COLOR": "1"} | killed
        command = ["node", "--test", "--test-reporter=spec", "sharing_chaos.js"]
        done = subprocess.run(command, cwd=TESTS / "client", env=environ, check=False)
        if "Traceback" in server.log.read_text(errors="replace"):
            print(server.log_tail())
            return 1
        return done.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
