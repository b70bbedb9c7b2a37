"""The docs are tested: what they print works, and nothing is left out of them."""

import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import pytest
from conftest import CI, NO_ENV_FILE, missing
from servers import free_port, serving

import config
from environ import Setting
from melon_api.audit import Event
from melon_api.ops.settings import OPTIONAL

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
README = (ROOT / "README.md").read_text()
LOCAL = "http://127.0.0.1:8000"


def block(name: str, page: str = "README.md") -> str:
    """The text of the code block that the page calls `name`."""
    text = (ROOT / page).read_text()
    (found,) = re.findall(rf"```\w+ {re.escape(name)}\n(.*?)```", text, flags=re.DOTALL)
    return str(found)


@pytest.fixture(scope="module")
def declared() -> list[Setting]:
    """Every setting, once."""
    found = {one.name: one for one in config.declared()}
    return list(found.values())


def row(setting: Setting) -> str:
    """As the table has it; where staging and production differ, it says so."""
    default = setting.shown or (f"`{setting.default}`" if setting.default else "none")
    if setting.deployed and not setting.shown:
        default += f"; `{setting.deployed}` in staging and production"
    return f"| `{setting.name}` | {default} | {setting.line} |"


def test_the_table_of_settings_is_what_the_code_declares(declared: list[Setting]) -> None:
    """A row for each, and no other; what platforms call one is in its row."""
    page = (ROOT / "docs" / "settings.md").read_text()
    assert re.findall(r"^\| `.*$", page, re.MULTILINE) == [row(setting) for setting in declared]
    assert len(declared) > 40
    assert all(f"`{name}`" in setting.line for setting in declared for name in setting.also)


def test_every_setting_is_in_the_example_and_no_other(declared: list[Setting]) -> None:
    """What platforms set, nobody writes; one of OpenTelemetry's own stands for the others."""
    example = (ROOT / ".env.example").read_text()
    named = re.findall(r"^#([A-Z0-9_]+)=", example, re.MULTILINE)
    assert len(named) == len(set(named))
    assert {*named} - {"OTEL_EXPORTER_OTLP_HEADERS"} == {setting.name for setting in declared}


def test_no_variable_is_read_that_is_not_declared(declared: list[Setting]) -> None:
    """Whatever asks the environment by name, anywhere in the server."""
    names = {name for setting in declared for name in (setting.name, *setting.also)}
    files = [*(ROOT / "melon_api").rglob("*.py"), *ROOT.glob("*.py"), ROOT / "deploy" / "backup.py"]
    asked = r"os\.environ(?:\.get)?[\(\[]\s*[\"']([A-Z0-9_]+)"
    assert not {name for file in files for name in re.findall(asked, file.read_text())} - names


def test_every_test_named_in_security_is_there() -> None:
    """No green words without a test: a requirement that is met names one, or its page."""
    page = (ROOT / "docs" / "security.md").read_text()
    code = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    there = set(re.findall(r"(?:def|class) ((?:test|Test)\w+)", code))
    assert not set(re.findall(r"`((?:test_|Test)\w+)`", page)) - there
    rows = re.findall(r"^\| (\d+\.\d+\.\d+) \| [^|]+ \| (.+?) \| (.+) \|$", page, re.MULTILINE)
    assert len(rows) > 60
    for requirement, state, words in rows:
        assert state in ("met", "partly", "not met", "platform"), requirement
        assert state != "met" or re.search(r"`(test_|Test)|\]\(", words), requirement


def test_every_audit_event_is_documented() -> None:
    page = (ROOT / "docs" / "security.md").read_text()
    assert not {event for event in Event if f"`{event}`" not in page}


def test_every_link_leads_somewhere() -> None:
    """To a page that is there, and to a heading on it."""
    for page in PAGES:
        for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", page.read_text()):
            there = page.parent / target if target else page
            assert there.exists(), f"{page.name}: {target}"
            assert not anchor or anchor in anchors(there), f"{page.name}: {target}#{anchor}"


def test_every_page_says_for_whom_it_is() -> None:
    """In its first sentence, which is also its line in /llms.txt."""
    for page in sorted((ROOT / "docs").rglob("*.md")):
        says = r"# .+\n\nFor those (who|whose) [a-z' ]+[\w,;:' `()-]*[.:]"
        assert re.match(says, page.read_text()), page.name


def test_the_readme_names_every_page() -> None:
    """Its last part is the table of contents of `/docs`."""
    contents = README.partition("## Read on")[2]
    named = re.findall(r"\]\(docs/([\w-]+)\.md\)", contents)
    assert sorted(named) == sorted(page.stem for page in (ROOT / "docs").glob("*.md"))
    assert "](docs/adr)" in contents


def test_every_picture_is_shown_and_told() -> None:
    """Who does not see it is told what is on it; in the dark it is dark; nothing runs in it."""
    shown = {
        (page.parent / path).resolve(): alt
        for page in PAGES
        for alt, path in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", page.read_text())
    }
    drawn = sorted((ROOT / "docs" / "pictures").glob("*.svg"))
    assert len(drawn) >= 3
    assert {*drawn} <= shown.keys()
    assert all(len(alt) > 30 for alt in shown.values())
    for picture in drawn:
        root = ElementTree.parse(picture).getroot()
        assert [part.tag.rpartition("}")[2] for part in root[:2]] == ["title", "desc"]
        assert root.get("role") == "img" and int(root.get("width", "0")) <= 480
        text = picture.read_text()
        assert "prefers-color-scheme: dark" in text and len(text) < 12_000
        assert not re.search(r"<script|<foreignObject|href|url\((?!#)", text)


def anchors(page: Path) -> set[str]:
    """The headings, as GitHub makes anchors of them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


def test_every_file_named_in_the_docs_is_there() -> None:
    """By its path or the end of it; what a page has you write is in blocks with their name, and
    what is in `app/` is the reader's."""
    folders = ("melon_api", "server", "tools", "tests", "benchmarks", "deploy", "migrations")
    folders += ("examples/moving",)
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    there = {str(path.relative_to(ROOT)) for path in (*files, *ROOT.glob("*.py"))}
    for page in PAGES:
        prose = re.sub(
            r"^```(?!mermaid).*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL
        )
        for name in re.findall(r"(?<![\w./-])(?!app/)[\w./-]*\w\.py\b", prose):
            assert any(f"/{path}".endswith(f"/{name}") for path in there), f"{page.name}: {name}"


def test_the_rooms_are_in_the_docs_with_their_rules() -> None:
    """docs/architecture.md has the first sentence of each package."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    told = dict(re.findall(r"^\| `(\S+)/` \| (.+) \|$", page, re.MULTILINE))
    rooms = [path.parent for path in (ROOT / "melon_api").glob("*/**/__init__.py")]
    for room in [*rooms, ROOT / "tools"]:
        says = (ast.get_docstring(ast.parse((room / "__init__.py").read_text())) or "").split("\n")
        assert told.pop(str(room.relative_to(ROOT)), None) == says[0], room
    assert not [name for name in told if not (ROOT / name).is_dir()]


def test_every_command_named_in_the_docs_is_there() -> None:
    """Of make, and of `scripts/`."""
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for page in PAGES:
        text = page.read_text()
        made = re.findall(r"(?:`|^|&& )make ([a-z-]+)", text, re.MULTILINE)
        assert not {*made} - {*targets}, page.name
        run = re.findall(r"(?<![\w/])(?:\./)?scripts/([a-z-]+)", text)
        assert not {*run} - {path.name for path in (ROOT / "scripts").iterdir()}, page.name


def test_every_word_of_the_glossary_is_where_it_says() -> None:
    page = (ROOT / "docs" / "glossary.md").read_text()
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| `(\S+\.py):(\w+)` \|$", page, re.MULTILINE)
    assert len(rows) == len(re.findall(r"^\| (?!word|---)", page, re.MULTILINE)) > 30
    for word, path, name in rows:
        defined = rf"^\s*(?:def|class) {name}\b|^\s*{name}\b(?:: | = )"
        assert re.search(defined, (ROOT / path).read_text(), re.MULTILINE), f"{word}: {path}:{name}"


def test_the_readme_fits_on_two_screens() -> None:
    assert len(README.splitlines()) <= 100


def test_the_apps_ten_lines_are_those_of_the_quick_start() -> None:
    """Which tests/guides follows as printed."""
    name = "src/melon.ts"
    assert block(name) == block(name, "docs/quick-start.md")


def test_a_phone_in_the_same_network_reaches_the_server_as_printed(tmp_path: Path) -> None:
    """docs/troubleshooting.md: `HOST=0.0.0.0` is all that `scripts/serve` wants."""
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    (host,) = re.findall(r"`HOST=(\S+) \./scripts/serve`", page)
    (server,) = re.findall(r"^exec (gunicorn .*)$", (ROOT / "scripts" / "serve").read_text(), re.M)
    kept = {"PATH": os.environ["PATH"], **NO_ENV_FILE, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    command = [sys.executable, "-m", *server.split(), "--print-config"]
    done = subprocess.run(
        command, cwd=ROOT, env=kept | {"HOST": host}, capture_output=True, text=True, check=True
    )
    assert re.search(r"^bind\s+= \['0\.0\.0\.0:8000'\]$", done.stdout, re.M), done.stdout


def test_every_requirement_is_used() -> None:
    names = {"argon2-cffi": "import PasswordHasher", "python-dotenv": "import find_dotenv"}
    names |= {"pynacl": "from nacl", "markdown-it-py": "from markdown_it"}
    code = "".join(p.read_text() for p in [*(ROOT / "melon_api").rglob("*.py"), ROOT / "Procfile"])
    code += (ROOT / "config.py").read_text() + (ROOT / "gunicorn.conf.py").read_text()
    for line in (ROOT / "requirements.in").read_text().splitlines():
        if line and not line.startswith("#"):
            name, version = line.split("==")
            name = name.split("[", maxsplit=1)[0]
            assert version
            assert names.get(name, name.replace("-", "_")) in code, line


def test_every_optional_requirement_is_asked_for() -> None:
    """By the setting that needs it, which names it when it is missing."""
    lines = (ROOT / "requirements-observability.in").read_text().splitlines()
    pinned = [line.split("==")[0] for line in lines if "==" in line]
    asked = {package for packages in OPTIONAL.values() for package in packages}
    assert sorted(pinned) == sorted(re.sub("[._]", "-", package) for package in asked)


def test_the_curl_session_works_as_printed(tmp_path: Path) -> None:
    with serving("sqlite", tmp_path, workers=1) as server:
        script = block("session", "docs/api.md").replace(LOCAL, server.url)
        output = run_shell(script)
    pushed, pulled = (json.loads(part) for part in re.findall(r"\{.*?\}(?=\{|$)", output))
    assert pushed["timestamp"] == pulled["timestamp"]
    assert [t["title"] for t in pulled["changes"]["tasks"]["created"]] == ["Paint"]


def run_shell(script: str) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.usefixtures("client_packages")
def test_the_sync_snippet_works_as_printed(tmp_path: Path, melon_sync: Path) -> None:
    """The blocks of docs/stock-client.md: the stock client, on two phones."""
    page, modules = "docs/stock-client.md", ROOT / "tests" / "client" / "node_modules"
    (tmp_path / "node_modules").symlink_to(modules)
    bundler = melon_sync / "node_modules" / ".bin" / "esbuild"
    with serving("sqlite", tmp_path, workers=1) as server:
        for name in ("sync", "schema", "phones"):
            (tmp_path / f"{name}.js").write_text(block(name, page).replace(LOCAL, server.url))
        _, *commands = block("run", page).replace("npx esbuild", str(bundler)).splitlines()
        said = run_shell(" && ".join([f"cd {tmp_path}", *commands]))
    assert said.endswith("The second phone has Kitchen.")


def test_the_checksum_snippet_works_as_printed(tmp_path: Path) -> None:
    if not shutil.which("node"):
        missing("node")
    page = (ROOT / "docs" / "verify.md").read_text()
    (snippet,) = re.findall(r"```js checksum\n(.*?)```", page, flags=re.DOTALL)
    (record,) = re.findall(r"```json record\n(.*?)```", page, flags=re.DOTALL)
    (number,) = re.findall(r"is\s+`([0-9]+)`", page)
    script = f"{snippet}\nconst {{ id, ...rest }} = {record}\n"
    script += "console.log(recordChecksum({ id, ...rest }, Object.keys(rest)))"
    (tmp_path / "checksum.mjs").write_text(script)
    assert run_shell(f"node {tmp_path / 'checksum.mjs'}") == number


@contextmanager
def fresh_clone(folder: Path) -> Iterator[Path]:
    clone = folder / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    shutil.rmtree(clone / "app")  # whatever is in this one's
    shutil.copytree(ROOT / "tests" / "example", clone / "app")
    yield clone


def test_the_first_command_serves_in_a_fresh_clone(tmp_path: Path) -> None:
    """As a newcomer would: nothing is installed, nothing is set."""
    if not CI:
        pytest.skip("installs everything anew; set CI=true")
    port = free_port()
    kept = ("PATH", "HOME", "LANG")
    environ = {k: v for k, v in os.environ.items() if k in kept or k.startswith("PIP_")}
    environ["PORT"] = str(port)
    with fresh_clone(tmp_path) as clone, (tmp_path / "log").open("w+") as log:
        command = ["bash", "-c", block("serve")]
        server = subprocess.Popen(
            command, cwd=clone, env=environ, stdout=log, stderr=log, start_new_session=True
        )
        try:
            await_answer(f"http://127.0.0.1:{port}/readyz", server, tmp_path / "log")
            output = run_shell(block("session", "docs/api.md").replace(":8000", f":{port}"))
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait()
    assert "Paint" in output
    assert "demo@example.com" in (tmp_path / "log").read_text()


def await_answer(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    while process.poll() is None:
        try:
            with urllib.request.urlopen(url):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(log.read_text())


def test_the_readme_test_command_is_what_ci_runs() -> None:
    assert block("test").strip() in (ROOT / ".ci" / "run").read_text().splitlines()
