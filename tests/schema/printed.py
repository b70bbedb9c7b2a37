"""What `flask sync schema` prints, compiled as an app does and given to Node."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import forks
from conftest import APP, NO_ENV_FILE

import config as settings
from melon_api import create_app

HERE = Path(__file__).resolve().parent
NODE_SECONDS = 120  # against a hang
# As WatermelonDB's docs ask for decorators; all that `strict` means, and no unused import.
OPTIONS = {
    "strict": True,
    "noUnusedLocals": True,
    "isolatedModules": True,
    "target": "es2022",
    "module": "commonjs",
    "moduleResolution": "node10",
    "experimentalDecorators": True,
    "useDefineForClassFields": False,
    "skipLibCheck": True,
    "types": [],
    "rootDir": ".",
    "outDir": "out",
}


def flask(
    *arguments: str, cwd: Path = settings.ROOT, **environ: str
) -> "subprocess.CompletedProcess[str]":
    """`flask --app wsgi sync …` as a developer without any setting calls it."""
    kept = {name: os.environ[name] for name in (*NO_ENV_FILE, "PATH", "HOME") if name in os.environ}
    if cwd == settings.ROOT:
        kept["MELON_APP"] = APP
    command = ("flask", "--app", "wsgi", "sync", *arguments)
    return forks.run(*command, cwd=cwd, environ=kept | environ)


def printed(folder: Path, *arguments: str) -> str:
    """The same as `flask("schema", …)` without a process of its own, which takes seconds."""
    app = create_app(settings.load({"MELON_APP": APP}, folder))
    done = app.test_cli_runner().invoke(args=["sync", "schema", *arguments])
    assert done.exit_code == 0, done.output
    return done.output


def compiled(folder: Path, *files: str) -> Path:
    """Where the JavaScript of these files of `folder` is; they must compile without a word."""
    modules = folder / "node_modules"
    if not modules.exists():
        modules.symlink_to(HERE / "node_modules")
    settings = {"compilerOptions": OPTIONS, "include": list(files)}
    (folder / "tsconfig.json").write_text(json.dumps(settings))
    tsc = HERE / "node_modules" / "typescript" / "bin" / "tsc"
    done = subprocess.run(
        ["node", str(tsc), "-p", str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "out"


def node(script: str, **environ: Any) -> str:
    """What this script of ours printed."""
    done = subprocess.run(
        ["node", script],
        cwd=HERE,
        env=os.environ | {name: str(value) for name, value in environ.items()},
        capture_output=True,
        text=True,
        check=False,
        timeout=NODE_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
