"""scripts/environment: which Python, installed into which folder, and that it says so."""

import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

import pytest

from config import ROOT

WHEEL = (
    "Metadata-Version: 2.1\nName: nothing\nVersion: 1.0\nWheel-Version: 1.0\nTag: py3-none-any\n"
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "environment", tmp_path / "scripts")
    (tmp_path / "requirements.txt").write_text("# nothing, so that nothing is fetched\n")
    return tmp_path


def run(checkout: Path, **environ: str) -> "subprocess.CompletedProcess[str]":
    """What a script does first; then the folder of the Python that `python` is."""
    script = ". scripts/environment && install requirements.txt"
    command = ["bash", "-c", f"{script} && exec python -c 'import sys; print(sys.prefix)'"]
    environ |= {"PATH": "/usr/bin:/bin"}
    return subprocess.run(
        command, cwd=checkout, env=environ, capture_output=True, text=True, check=False
    )


def test_another_python_has_a_folder_of_its_own(checkout: Path) -> None:
    """What takes its time is announced, once for each list; what failed was not installed, and
    nothing is without its hash."""
    own, wanted = {"PYTHON": sys.executable, "VENV": ".venv-own"}, checkout / "requirements.txt"
    first, second = run(checkout, **own), run(checkout, **own)
    assert first.stdout == second.stdout == f"{checkout / '.venv-own'}\n", first.stderr
    assert first.stderr.startswith("Installing 0 packages into .venv-own, once; it takes ")
    assert second.stderr == ""
    assert not (checkout / ".venv").exists()
    wanted.write_text(f"./{wheel(checkout)}\n")
    for _ in range(2):
        done = run(checkout, **own)
        assert done.returncode != 0
        assert "Hashes are required" in done.stderr
    digest = sha256((checkout / wheel(checkout)).read_bytes()).hexdigest()
    wanted.write_text(f"./{wheel(checkout)} --hash=sha256:{digest}\n")
    assert [run(checkout, **own).returncode, run(checkout, **own).stderr] == [0, ""]


def wheel(folder: Path) -> str:
    """A package that holds nothing."""
    path = folder / "nothing-1.0-py3-none-any.whl"
    if not path.exists():
        with ZipFile(path, "w") as file:
            for name in ("METADATA", "WHEEL", "RECORD"):
                file.writestr(f"nothing-1.0.dist-info/{name}", WHEEL)
    return path.name


def test_a_python_that_is_not_there_is_no_other_one(checkout: Path) -> None:
    done = run(checkout, PYTHON="python3.99")
    assert done.returncode != 0
    assert done.stderr.splitlines()[1].startswith("python3.99 is needed")
    assert not (checkout / ".venv").exists()
