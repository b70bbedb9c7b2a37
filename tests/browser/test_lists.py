"""examples/web in a real Chromium, as its README builds it; and that the examples are one app."""

import os
import shutil
from pathlib import Path

import pytest
from conftest import install_packages
from servers import serving
from test_demo import HERE, run

EXAMPLES = HERE.parents[1] / "examples"
SHARED = ("core", "disk.ts", "lokijs.d.ts", "web-storage.ts")


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


def test_the_lists_sync_in_a_browser(lists: Path, chromium: str, tmp_path: Path) -> None:
    pictures = Path(os.environ.get("DEMO_PICTURES") or tmp_path)
    with serving("sqlite", tmp_path) as server:
        environ = {"MELON_URL": server.url, "CHROMIUM": chromium, "LISTS": str(lists)}
        said = run("node", "lists.js", folder=HERE, PICTURES=str(pictures), **environ)
    assert "the lists sync" in said


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


@pytest.mark.skipif("TEST_EXPO" not in os.environ, reason="installs 400 MB: TEST_EXPO=yes")
def test_the_expo_app_is_bundled(melon_sync: Path, tmp_path: Path) -> None:
    """For the web, and as Hermes' bytecode; the config plugin writes Android's folder."""
    folder = installed("expo", melon_sync)
    quiet = {"CI": "1", "EXPO_NO_TELEMETRY": "1"}
    run("npm", "run", "check", folder=folder)
    for platform, kind in (("web", "js"), ("android", "hbc")):
        out = tmp_path / platform
        export = ("expo", "export", "--platform", platform, "--output-dir", str(out))
        run("npx", *export, folder=folder, **quiet)
        assert list(out.rglob(f"*.{kind}"))
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("node_modules", ".expo"))
    (copy / "node_modules").symlink_to(folder / "node_modules")
    run("npx", "expo", "prebuild", "--platform", "android", "--no-install", folder=copy, **quiet)
    application = next((copy / "android").rglob("MainApplication.kt")).read_text()
    assert "WatermelonDBJSIPackage()" in application
