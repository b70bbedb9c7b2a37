"""scripts/services, with which CI and developers start what the tests talk to."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import conftest
import galera
import mariadb_server
import pytest
from conftest import missing, want_servers

from config import ROOT

SERVICES = ROOT / "scripts" / "services"
CLIENT = "mariadb --no-defaults -h 127.0.0.1 -u melon -pmelon -Ne"
# From nothing, in a network where no port is taken.
LIFE = f"""
set -e
ip link set lo up
{SERVICES} up mariadb redis
{SERVICES} up redis mariadb
{CLIENT} 'CREATE DATABASE theirs; USE theirs; SELECT USER()'
redis-cli ping
{SERVICES} down mariadb redis
for port in 3306 6379; do
  if (exec 3<>/dev/tcp/127.0.0.1/$port) 2>/dev/null; then echo "$port still listens"; fi
done
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """Where another user, as who a server runs, may go."""
    folder = Path(tempfile.mkdtemp(prefix="melon-services-", dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def run(*command: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    path = {"PATH": mariadb_server.PATH}
    return subprocess.run(command, env=path | environ, capture_output=True, text=True, check=False)


def test_servers_start_from_nothing_and_stop(home: Path) -> None:
    want_servers()
    if run("unshare", "--net", "ip", "link", "set", "lo", "up").returncode:
        missing("a network of its own (root, iproute2)")
    if shutil.which("redis-server") is None or not shutil.which(
        "mariadbd", path=mariadb_server.PATH
    ):
        missing("redis-server and mariadb-server")
    done = run("unshare", "--net", "bash", "-c", LIFE, MELON_SERVICES_DIR=str(home))
    assert done.returncode == 0, done.stdout + done.stderr
    database, cache = "mysql://melon:melon@127.0.0.1:3306/melon", "redis://127.0.0.1:6379/0"
    urls = [database, cache, cache, database]
    assert done.stdout.split() == [*urls, "melon@localhost", "PONG"]


def test_the_tests_look_where_they_are() -> None:
    told = re.findall(r'echo "(\w+://.*)/\w+"$', SERVICES.read_text(), re.MULTILINE)
    defaults = re.findall(r'TEST_\w+_URL", "(.*?)"', Path(conftest.__file__).read_text())
    assert set(told) >= {url.removesuffix("/9") for url in defaults}
    assert len(defaults) == 3
    assert {f"{told[-1].split('{')[0]}331{n}" for n in (1, 2, 3)} == set(galera.URLS)


@pytest.mark.parametrize("words", ["", "up nothing", "down", "restart redis"])
def test_what_it_does_not_know_is_refused(words: str, home: Path) -> None:
    done = run(str(SERVICES), *words.split(), MELON_SERVICES_DIR=str(home))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("scripts/services up [mariadb|")


def test_what_is_not_installed_is_named(home: Path, tmp_path: Path) -> None:
    """Nothing is installed on a laptop by itself."""
    for tool in ("bash", "id", "mkdir", "env"):
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    script = re.sub(r"^export PATH=.*$", "", SERVICES.read_text(), flags=re.MULTILINE)
    done = run(
        "bash", "-c", script, "x", "up", "redis", PATH=str(tmp_path), MELON_SERVICES_DIR=str(home)
    )
    assert done.returncode == 1
    assert done.stderr == "redis-server is not installed (Debian: apt-get install redis-server)\n"


def test_ci_starts_each_of_them() -> None:
    (names,) = re.findall(r"^for service in (.*); do$", (ROOT / ".ci" / "run").read_text(), re.M)
    assert set(names.split()) == set(re.findall(r"^up_(\w+)\(\)", SERVICES.read_text(), re.M))


def test_a_database_server_that_is_missing_is_a_skip_outside_ci(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is found where Debian has it."""
    assert "/usr/sbin" in mariadb_server.PATH.split(":")
    monkeypatch.setattr(mariadb_server, "PATH", str(tmp_path))
    server = mariadb_server.PrivateMariaDB(tmp_path, tmp_path / "none.pem")
    monkeypatch.setattr(conftest, "CI", False)
    with pytest.raises(pytest.skip.Exception), server:
        pass
    monkeypatch.setattr(conftest, "CI", True)
    with pytest.raises(pytest.fail.Exception), server:
        pass
