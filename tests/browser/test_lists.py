"""The examples in a real Chromium, as their READMEs build them; and that they are one app."""

import os
import shutil
from pathlib import Path

import pytest
from conftest import install_packages
from servers import serving
from test_demo import HERE, run

EXAMPLES = HERE.parents[1] / "examples"
SHARED = ("core", "disk.ts", "lokijs.d.ts", "web-storage.ts")
EXPO = pytest.mark.skipif("TEST_EXPO" not in os.environ, reason="installs 400 MB: TEST_EXPO=yes")
QUIET = {"CI": "1", "EXPO_NO_TELEMETRY": "1"}


def installed(example: str, melon_sync: Path) -> Path:
    """Its packages, with a melon-sync that is today's: npm copies what was built when it ran."""
    folder = EXAMPLES / example
    install_packages(folder)
    copy = folder / "node_modules" / "melon-sync" / "dist"
    shutil.copytree(melon_sync / "dist", copy, dirs_exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def lists(melon_sync: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checked build, whose server is that of its own origin."""
    folder = installed("web", melon_sync)
    run("npm", "run", "check", folder=folder)
    built = tmp_path_factory.mktemp("lists")
    out = ("--outDir", str(built), "--logLevel", "error")
    run("npm", "run", "build", "--", *out, folder=folder, VITE_MELON_URL="/")
    return built


def visit(lists: Path, chromium: str, folder: Path) -> None:
    pictures = Path(os.environ.get("DEMO_PICTURES") or folder)
    with serving("sqlite", folder) as server:
        environ = {"MELON_URL": server.url, "CHROMIUM": chromium, "LISTS": str(lists)}
        said = run("node", "lists.js", folder=HERE, PICTURES=str(pictures), **environ)
    assert "the lists sync" in said


def test_the_lists_sync_in_a_browser(lists: Path, chromium: str, tmp_path: Path) -> None:
    visit(lists, chromium, tmp_path)


def test_both_examples_are_one_app() -> None:
    """Each stands alone, to be copied; what is not of a platform is the same text."""
    for name in SHARED:
        one, other = (EXAMPLES / example / "src" / name for example in ("expo", "web"))
        files = sorted(path.name for path in one.iterdir()) if one.is_dir() else [""]
        assert files == (sorted(path.name for path in other.iterdir()) if one.is_dir() else [""])
        for file in files:
            assert (one / file).read_text() == (other / file).read_text()
    client, demo = EXAMPLES.parent / "client", EXAMPLES.parent / "demo"
    storage = (EXAMPLES / "web" / "src" / "web-storage.ts").read_text()
    assert storage == (client / "examples" / "web.ts").read_text()
    assert (EXAMPLES / "web" / "src" / "disk.ts").read_text() == (demo / "src/disk.ts").read_text()


@pytest.fixture(scope="session")
def expo(melon_sync: Path) -> Path:
    """Its folder, with types that fit."""
    folder = installed("expo", melon_sync)
    run("npm", "run", "check", folder=folder)
    return folder


def exported(expo: Path, platform: str, out: Path) -> Path:
    """Of the web its server is that of its own origin."""
    export = ("expo", "export", "--clear", "--platform", platform, "--output-dir", str(out))
    run("npx", *export, folder=expo, EXPO_PUBLIC_MELON_URL="/", **QUIET)
    return out


@EXPO
def test_the_expo_app_syncs_in_a_browser(expo: Path, chromium: str, tmp_path: Path) -> None:
    """The same visit, of the screens that a phone shows."""
    visit(exported(expo, "web", tmp_path / "web"), chromium, tmp_path)


@EXPO
def test_the_expo_app_is_built_for_phones(expo: Path, tmp_path: Path) -> None:
    """As Hermes' bytecode; the config plugin writes Android's folder."""
    for platform in ("android", "ios"):
        assert list(exported(expo, platform, tmp_path / platform).rglob("*.hbc"))
    copy = tmp_path / "copy"
    shutil.copytree(expo, copy, ignore=shutil.ignore_patterns("node_modules", ".expo"))
    (copy / "node_modules").symlink_to(expo / "node_modules")
    run("npx", "expo", "prebuild", "--platform", "android", "--no-install", folder=copy, **QUIET)
    application = next((copy / "android").rglob("MainApplication.kt")).read_text()
    assert "WatermelonDBJSIPackage()" in application
