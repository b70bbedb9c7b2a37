"""`client/`, the npm package melon-sync: with the stock WatermelonDB against a real server; packed,
installed into an empty project and used there."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from issuer import LocalIssuer
from living import living
from servers import Server, serving

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

PURGED = "purge.test.js"  # it forgets the deletions of all accounts
RESTORED = "restore.test.js"  # it loses the database of all accounts
LIVE = {"live.test.js", "live_stock.test.js"}  # they want the live process beside the server
WAYS_IN = "ways_in.test.js"  # it wants an issuer
SHARED = "spaces.test.js"  # its projects may be shared
BOTH = "conflict.test.js"  # under either conflict policy
PROCESSES = 4  # a test file each; they wait for the server most of the time
NODE_SECONDS = int(os.environ.get("NODE_SECONDS", "600"))  # against a hang; a run takes one minute
# Of React's own types, what the docs use.
REACT = """declare module 'react' {
  export function useSyncExternalStore<T>(
    subscribe: (listen: () => void) => () => void, value: () => T): T
}
"""
RESOLUTIONS = ("Node16", "Bundler", "Node10")


def run(*command: str | Path, cwd: Path, **environ: str) -> str:
    """What a command says; it has to succeed."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=os.environ | {"NO_COLOR": "1", "NO_UPDATE_NOTIFIER": "1"} | environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=NODE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="session")
def project(melon_sync: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty project that has installed the package, packed from its sources, and no other."""
    folder, sources = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("client")
    made = shutil.ignore_patterns("node_modules", "dist")
    shutil.copytree(melon_sync, sources, ignore=made, dirs_exist_ok=True)
    (sources / "node_modules").symlink_to(melon_sync / "node_modules")
    packed = json.loads(
        run("npm", "pack", "--json", "--silent", f"--pack-destination={folder}", cwd=sources)
    )
    (folder / "package.json").write_text('{"private": true}')
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    wanted = [f"./{packed[0]['filename']}", "@nozbe/watermelondb@0.28.0"]
    run("npm", "install", *options, *wanted, cwd=folder)
    shutil.copytree(HERE / "consumer", folder, dirs_exist_ok=True)
    return folder


def run_tests(melon_sync: Path, server: Server, *files: str, **environ: str) -> None:
    """Run these node tests: all pass, none is skipped, and the server has not crashed."""
    options = ["--test", "--test-reporter=spec", "--test-force-exit"]
    said = run(
        "node",
        *options,
        f"--test-concurrency={PROCESSES}",
        *(f"tests/{name}" for name in files),
        cwd=melon_sync,
        MELON_URL=server.url,
        **server.environ | environ,
    )
    counts = {kind: int(n) for kind, n in re.findall(r"^ℹ (\w+) (\d+)$", said, re.MULTILINE)}
    assert 0 < counts["pass"] + counts["skipped"] == counts["tests"], said
    assert "MELON_PYTHON" not in environ or counts["skipped"] == 0, said
    assert "Traceback" not in server.log.read_text(errors="replace"), server.log_tail()


def test_the_package_syncs(melon_sync: Path, tmp_path: Path) -> None:
    files = {path.name for path in (melon_sync / "tests").glob("*.test.js")}
    files -= {PURGED, RESTORED, SHARED, WAYS_IN, *LIVE}
    with serving("sqlite", tmp_path) as server:
        run_tests(melon_sync, server, *sorted(files))


def test_the_package_is_told_of_the_other_phones_changes(melon_sync: Path, tmp_path: Path) -> None:
    """Contract, Live 1, 3 and 5: with the stock WatermelonDB."""
    with serving("mariadb+redis", tmp_path) as server, living(server) as live:
        run_tests(melon_sync, server, *sorted(LIVE), MELON_LIVE=live.url)


def test_the_package_signs_in_without_a_password(melon_sync: Path, tmp_path: Path) -> None:
    """Guests, and who they become; by a real issuer."""
    with LocalIssuer() as issuer:
        own = {"OIDC_GOOGLE_ISSUER": issuer.url, "OIDC_GOOGLE_CLIENT_IDS": "app.melon"}
        with serving("sqlite", tmp_path, **own) as server:
            run_tests(melon_sync, server, WAYS_IN, MELON_ISSUER=issuer.url)


def test_the_package_syncs_with_a_database_server(melon_sync: Path, tmp_path: Path) -> None:
    """What depends on the server's storage; the rest is the same on any."""
    with serving("mariadb+redis", tmp_path) as server:
        run_tests(melon_sync, server, "sync.test.js", BOTH)


def test_the_package_syncs_where_conflicts_are_refused(melon_sync: Path, tmp_path: Path) -> None:
    with serving("sqlite", tmp_path, SYNC_CONFLICT_POLICY="reject") as server:
        run_tests(melon_sync, server, BOTH, MELON_POLICY="reject", MELON_PYTHON=sys.executable)


def test_people_share_spaces_with_the_package(melon_sync: Path, tmp_path: Path) -> None:
    """Contract, Spaces 3 and 5: and with the stock client alone."""
    with serving("sqlite", tmp_path, MELON_APP="app") as server:
        run_tests(melon_sync, server, SHARED)


def test_the_package_comes_back_after_a_purge(melon_sync: Path, tmp_path: Path) -> None:
    with serving("sqlite", tmp_path, workers=1) as server:
        run_tests(melon_sync, server, PURGED, MELON_PYTHON=sys.executable)


def test_the_package_comes_back_after_a_restore(melon_sync: Path, tmp_path: Path) -> None:
    with serving("mysql", tmp_path, workers=1) as server:
        run_tests(melon_sync, server, RESTORED, MELON_PYTHON=sys.executable)


def test_it_works_where_it_is_installed(project: Path, tmp_path: Path) -> None:
    with serving("sqlite", tmp_path, workers=1) as server:
        for file, kind in (("smoke.mjs", "import"), ("smoke.cjs", "require")):
            said = run("node", file, cwd=project, MELON_URL=server.url)
            for entry in (kind, f"{kind} core"):
                assert f"{entry}: two phones hold the same" in said


def test_only_watermelondb_comes_with_it(project: Path) -> None:
    """No dependency of its own, and no file that an app does not need."""
    manifest = json.loads((project / "node_modules" / "melon-sync" / "package.json").read_text())
    assert "dependencies" not in manifest
    assert list(manifest["peerDependencies"]) == ["@nozbe/watermelondb"]
    there = {path.name for path in (project / "node_modules" / "melon-sync").iterdir()}
    assert there == {"LICENSE", "README.md", "core", "dist", "examples", "package.json"}


def test_it_names_no_built_in_module_of_node(melon_sync: Path) -> None:
    """React Native has none; the compiler, which knows no types of Node here, finds the globals."""
    code = "".join(path.read_text() for path in (melon_sync / "src").glob("*.ts"))
    imported = set(re.findall(r"from '([^']+)'", code))
    assert imported
    assert all(name.startswith(("./", "@nozbe/watermelondb")) for name in imported)


@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_its_types_serve_an_app(resolution: str, melon_sync: Path, project: Path) -> None:
    """Strictly, by each way in which TypeScript finds them. WatermelonDB's own have mistakes."""
    module = {"Node16": "Node16", "Bundler": "ESNext", "Node10": "CommonJS"}[resolution]
    options = ["--noEmit", "--strict", "--target", "ES2020"]
    options += ["--module", module, "--moduleResolution", resolution, "--skipLibCheck"]
    for file in ("types.ts", "types.mts") if resolution == "Node16" else ("types.ts",):
        shutil.copy(HERE / "consumer" / "types.ts", project / file)
        run(
            "node",
            melon_sync / "node_modules" / "typescript" / "bin" / "tsc",
            *options,
            file,
            cwd=project,
        )


def test_its_manifest_leads_everybody_to_the_right_types(melon_sync: Path, project: Path) -> None:
    (tarball,) = project.glob("*.tgz")
    run(
        "node",
        melon_sync / "node_modules" / "@arethetypeswrong" / "cli" / "dist" / "index.js",
        tarball,
        cwd=melon_sync,
    )


def test_the_readme_is_right(melon_sync: Path, tmp_path: Path) -> None:
    """Its snippets and those of docs/on-the-phone.md compile, and its storage is the example's."""
    pages = (melon_sync / "README.md", ROOT / "docs" / "on-the-phone.md")
    page = "".join(path.read_text() for path in pages)
    snippets = dict(re.findall(r"```ts ([\w-]+)\n(.*?)```", page, flags=re.DOTALL))
    assert set(snippets) == {
        *("start", "core", "keychain", "options", "live", "guests"),
        *("melon", "upload", "sign-out", "saved"),
    }
    example = (melon_sync / "examples" / "keychain.ts").read_text()
    assert snippets["keychain"] in example
    folder = melon_sync / "examples" / "readme"  # where the compiler finds the packages
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        for name, text in snippets.items():
            stock = text.replace("@wrktalk-tech/", "@nozbe/")  # a fork is not installed here
            (folder / f"{name}.ts").write_text(stock)
        database = "import type { Database } from '@nozbe/watermelondb'\n"
        (folder / "database.ts").write_text(f"{database}export declare const database: Database\n")
        (folder / "react.d.ts").write_text(REACT)
        run("npm", "run", "check", cwd=melon_sync)
    finally:
        shutil.rmtree(folder)


def test_the_readme_names_every_error_and_option(melon_sync: Path) -> None:
    page = (melon_sync / "README.md").read_text()
    errors = re.findall(r"class (\w+Error)\b", (melon_sync / "src" / "errors.ts").read_text())
    options = re.findall(
        r"^  (\w+)\??:", (melon_sync / "src" / "client.ts").read_text(), re.MULTILINE
    )
    sync = (melon_sync / "src" / "sync.ts").read_text()
    found = re.search(r"interface SyncOptions \{(.*?)^\}", sync, re.DOTALL | re.MULTILINE)
    assert found
    options += re.findall(r"^  (\w+)\?:", found[1], re.MULTILINE)
    calls = re.findall(
        r"^  (?:async )?(\w+)\(", (melon_sync / "src" / "account.ts").read_text(), re.M
    )
    private = {"constructor", "signIn", "open", "post", "kept", "tellLogout"}
    named = {*errors, *options, *calls} - private
    assert len(named) > 40
    assert not {name for name in named if f"`{name}" not in page}


def _names(text: str) -> list[str]:
    return re.findall(r"`(\w+)`", text)


def _fields(source: str, interface: str) -> set[str]:
    """The names of an interface's fields."""
    found = re.search(rf"interface {interface} \{{(.*?)^\}}", source, re.DOTALL | re.MULTILINE)
    assert found
    return set(re.findall(r"^  (\w+)\??:", found[1], re.MULTILINE))


def test_what_the_readme_names_is_there(melon_sync: Path) -> None:
    """Options, answers, calls and error classes; codes are the package's own or the contract's."""
    page = (melon_sync / "README.md").read_text()
    source = {path.stem: path.read_text() for path in (melon_sync / "src").glob("*.ts")}
    _, options = page.split("`createMelonClient({…})`")
    table, rest = options.split("`sync(database, {…})`: ")
    named = set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))
    assert named == _fields(source["client"], "MelonOptions")
    assert set(_names(rest.split(". It")[0])) == _fields(source["sync"], "SyncOptions")
    answer = re.search(r"answers `\{ (.*?) \}`", rest)
    assert answer
    assert set(answer[1].split(", ")) == _fields(source["run"], "SyncResult")
    calls = re.search(r"^The account: (.*?)\.$", page, re.DOTALL | re.MULTILINE)
    assert calls
    for name in _names(calls[1]):
        assert re.search(rf"^  (async )?{name}\(", source["account"], re.MULTILINE), name
    shared = re.search(r"^Spaces, as `melon\.spaces`: (.*?)\.$", page, re.DOTALL | re.MULTILINE)
    assert shared
    there = set(re.findall(r"^  (?:async )?(\w+)\(", source["spaces"], re.MULTILINE))
    assert set(_names(shared[1])) == there - {"constructor", "settled"}
    known = "".join(source.values()) + (ROOT / "docs" / "contract.md").read_text()
    for row in re.findall(r"^\| (`\w+Error`.*?) \| (.*?) \|", page, re.MULTILINE):
        assert all(f"  {name},\n" in source["core"] for name in _names(row[0])), row
        codes = [code for code in _names(row[1]) if code != "http_502"]
        assert all(code in known for code in codes), row
