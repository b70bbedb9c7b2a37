"""melon-sync on WatermelonDBs of today: older, newer, forks; and in React Native's own engine."""

import gzip
import json
import re
import shutil
from pathlib import Path

import pytest
from conftest import install_packages
from servers import serving
from test_client_package import HERE, run, run_tests

FORKS = HERE / "forks"
# What touches WatermelonDB most: pull and push, marks, raw records, Turbo mode. The prerelease's
# JavaScript is the release's.
FILES = ("sync.test.js", "verify.test.js", "turbo.test.js")
OTHERS = {
    "watermelondb-0.27": FILES,
    "watermelondb-next": FILES[:1],
    "@wrktalk-tech/watermelondb": FILES,
}


@pytest.fixture(scope="session")
def forks() -> Path:
    install_packages(FORKS)
    return FORKS


def test_it_syncs_on_others_that_are_passed_in(
    melon_sync: Path, forks: Path, tmp_path: Path
) -> None:
    with serving("sqlite", tmp_path) as server:
        for name, files in OTHERS.items():
            folder = forks / "node_modules" / name
            run_tests(melon_sync, server, *files, WATERMELON=str(folder))


def test_their_types_fit(melon_sync: Path, forks: Path, tmp_path: Path) -> None:
    (tmp_path / "node_modules").mkdir()
    for name in (*OTHERS, "rxjs"):
        link = tmp_path / "node_modules" / name
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(forks / "node_modules" / name)
    (tmp_path / "node_modules" / "melon-sync").symlink_to(melon_sync)
    shutil.copy(forks / "forks.ts", tmp_path)
    options = ["--noEmit", "--strict", "--skipLibCheck", "--target", "ES2020"]
    options += ["--module", "ESNext", "--moduleResolution", "Bundler"]
    tsc = melon_sync / "node_modules" / "typescript" / "bin" / "tsc"
    run("node", tsc, *options, "forks.ts", cwd=tmp_path)


def test_the_peer_range_is_open(melon_sync: Path) -> None:
    manifest = json.loads((melon_sync / "package.json").read_text())
    wanted = manifest["peerDependencies"]["@nozbe/watermelondb"]
    code = "const [range, ...versions] = process.argv.slice(1)"
    code += "; const { satisfies } = require('semver')"
    code += "; console.log(versions.filter((version) => satisfies(version, range)).join())"
    versions = ("0.26.0", "0.27.0", "0.28.0", "0.28.1-0", "0.29.7", "1.0.0")
    said = run("node", "-e", code, wanted, *versions, cwd=melon_sync)
    assert said.strip().split(",") == list(versions[1:])
    assert manifest["peerDependenciesMeta"]["@nozbe/watermelondb"]["optional"]


def test_core_finds_no_watermelondb(melon_sync: Path) -> None:
    """It is passed in; a fork's app has no other. Both entries give the same."""
    sources = {path.name: path.read_text() for path in (melon_sync / "src").glob("*.ts")}
    finders = {name for name, code in sources.items() if "from '@nozbe" in code}
    assert finders == {"index.ts"}
    code = "const names = ['melon-sync', 'melon-sync/core']"
    code += ".map((name) => Object.keys(require(name)).sort())"
    code += "; console.log(JSON.stringify(names))"
    found, core = json.loads(run("node", "-e", code, cwd=melon_sync))
    assert found == core
    assert "createMelonClient" in core


def test_hermes_reads_it(melon_sync: Path) -> None:
    """By Hermes' own parser; what it cannot read is an error."""
    code = """
      const { readdirSync, readFileSync } = require('node:fs')
      const { parse } = require('hermes-parser')
      for (const [folder, sourceType] of [['esm', 'module'], ['cjs', 'script']]) {
        const files = readdirSync(`dist/${folder}`).filter((name) => name.endsWith('.js'))
        for (const name of files) {
          parse(readFileSync(`dist/${folder}/${name}`, 'utf8'), { sourceType })
        }
        console.log(files.length)
      }
      try { parse('a |> b') } catch (error) { console.log(error.name) }
    """
    modules = str(len(list((melon_sync / "src").glob("*.ts"))))
    said = run("node", "-e", code, cwd=melon_sync).split()
    assert said == [modules, modules, "SyntaxError"]


def test_its_size_is_the_readmes(melon_sync: Path, tmp_path: Path) -> None:
    """Bundled, minified, gzip: as an app's bundler and a web server do."""
    bundle = tmp_path / "bundle.js"
    options = ("--bundle", "--minify", "--format=esm", "--external:@nozbe/watermelondb")
    esbuild = melon_sync / "node_modules" / "esbuild" / "bin" / "esbuild"
    run("node", esbuild, "dist/esm/index.js", *options, f"--outfile={bundle}", cwd=melon_sync)
    size = len(gzip.compress(bundle.read_bytes(), 9)) / 1000
    said = re.search(r"less than (\d+) kB", (melon_sync / "README.md").read_text())
    assert said
    assert int(said[1]) - 3 < size < int(said[1])
