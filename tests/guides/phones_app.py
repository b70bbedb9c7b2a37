"""The app of docs/quick-start.md: its files as the page prints them, compiled; and its phones."""

import json
import os
import re
import subprocess
from pathlib import Path

from config import ROOT

QUICK_START = (ROOT / "docs" / "quick-start.md").read_text()
NODE_SECONDS = 120  # against a hang
# As docs/app-schema.md asks for decorators.
OPTIONS = {
    "strict": True,
    "target": "es2022",
    "module": "commonjs",
    "moduleResolution": "node10",
    "experimentalDecorators": True,
    "useDefineForClassFields": False,
    "skipLibCheck": True,
    "types": [],
    "rootDir": "src",
    "outDir": "out",
}
# Node has no SQLite of a phone's: the same schema, migrations and classes on LokiJS.
DATABASE = """
const { Database } = require('@nozbe/watermelondb')
const { default: LokiJSAdapter } = require('@nozbe/watermelondb/adapters/lokijs')
const { migrations } = require('./model/migrations')
const { modelClasses } = require('./model/models')
const { schema } = require('./model/schema')
const quiet = { useWebWorker: false, useIncrementalIndexedDB: false }
const adapter = new LokiJSAdapter({ schema, migrations, ...quiet })
exports.database = new Database({ adapter, modelClasses })
"""


def block(page: str, name: str) -> str:
    """The text of the page's code block of this name."""
    (text,) = re.findall(rf"```\w+ {re.escape(name)}\n(.*?)```", page, flags=re.DOTALL)
    return str(text)


def written(app: Path, melon_sync: Path) -> None:
    """The page's files, in an empty project where npm has installed the two packages."""
    modules = app / "node_modules"
    modules.mkdir(parents=True)
    (modules / "melon-sync").symlink_to(melon_sync)
    (modules / "@nozbe").symlink_to(melon_sync / "node_modules" / "@nozbe")
    (app / "src").mkdir()
    for name in ("melon", "storage", "database"):
        (app / "src" / f"{name}.ts").write_text(block(QUICK_START, f"src/{name}.ts"))


def compiled(app: Path, melon_sync: Path, out: str) -> Path:
    """Where its JavaScript is: it compiles without a word, and runs in Node."""
    settings = {"compilerOptions": OPTIONS | {"outDir": out}, "include": ["src"]}
    (app / "tsconfig.json").write_text(json.dumps(settings))
    tsc = melon_sync / "node_modules" / "typescript" / "bin" / "tsc"
    done = subprocess.run(
        ["node", str(tsc), "-p", str(app)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (app / out / "database.js").write_text(DATABASE)
    return app / out


def phone(app: Path, url: str, script: str) -> str:
    """What a new phone with this build says: `script` is run with `melon` and `database`."""
    melon = app / "melon.js"
    melon.write_text(re.sub(r"http://127.0.0.1:[0-9]+", url, melon.read_text()))
    lines = ["const melon = require('./melon'), { database } = require('./database')"]
    lines += [f"const run = async () => {{{script}}}"]
    lines += ["run().then(() => process.exit(), (e) => { console.log(e); process.exit(1) })"]
    (app / "phone.js").write_text("\n".join(lines))
    done = subprocess.run(
        ["node", "phone.js"],
        cwd=app,
        env=os.environ | {"NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=NODE_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
