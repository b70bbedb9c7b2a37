"""docs/vm.md, as far as it can be played without Docker: TLS, backup and restore."""

import os
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import requests
from certificates import Authority
from conftest import environment, fresh_database, make_app, missing
from devices import Account, created, project
from paas import ROOT
from servers import free_port, serving
from test_docs import block
from test_nginx import PATH, wait_for

from melon_api.models.base import db

KEPT = 14


def test_nginx_serves_with_the_certificate(tmp_path: Path) -> None:
    nginx = shutil.which("nginx", path=PATH)
    if not nginx:
        missing("nginx")
    authority, port, conf = Authority(tmp_path), free_port(), tmp_path / "nginx.conf"
    authority.certificate("127.0.0.1")
    for name in ("fullchain", "privkey"):
        shutil.copy(tmp_path / "127.0.0.1.pem", tmp_path / f"{name}.pem")
    script = block("tls", "docs/vm.md").replace(
        "/etc/letsencrypt/live/api.example.com", f"{tmp_path}"
    )
    script = script.replace("/etc/nginx/nginx.conf", str(conf)).replace("sudo tee", "tee")
    script = script[: script.index("sudo nginx -t")]
    subprocess.run(["bash", "-euc", script], cwd=ROOT, check=True)
    with serving("sqlite", tmp_path, workers=1, TRUSTED_PROXIES="1") as server:
        text = conf.read_text().replace("127.0.0.1:8000", server.url.removeprefix("http://"))
        text = text.replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
        temporary = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        folders = "".join(f"{kind}_temp_path {tmp_path}/{kind};\n" for kind in temporary)
        user = "" if os.geteuid() else "user root;\n"
        head = f"{user}daemon off;\npid {tmp_path}/pid;\nerror_log {tmp_path}/error.log;\n"
        conf.write_text(head + text.replace("http {\n", f"http {{\n{folders}", 1))
        process = subprocess.Popen([str(nginx), "-c", str(conf)])
        try:
            wait_for(port, process, tmp_path / "error.log")
            answer = requests.get(
                f"https://127.0.0.1:{port}/healthz", verify=str(authority.pem), timeout=30
            )
            assert answer.status_code == 200
        finally:
            process.terminate()
            process.wait(30)


def docker(folder: Path, url: str) -> dict[str, str]:
    """The shell of a machine whose `docker compose exec` reaches the database at `url`."""
    parts, tools = urlsplit(url), folder / f"bin-{urlsplit(url).path[1:]}"
    tools.mkdir()
    where = f"--host={parts.hostname} --port={parts.port}"
    for name in ("mysqldump", "mysql"):
        if (tool := shutil.which(name)) is None:
            missing(name)
        (tools / name).write_text(f'#!/bin/sh\nexec {tool} --no-defaults {where} "$@"\n')
    check = '[ "$1 $2 $3 $4" = "compose exec -T mysql" ] && [ -f docker-compose.yml ] || exit 9'
    (tools / "docker").write_text(f'#!/bin/sh\n{check}\nshift 4\nexec "$@"\n')
    for tool in tools.iterdir():
        tool.chmod(0o755)
    names = {"USER": parts.username, "PASSWORD": parts.password, "DATABASE": parts.path[1:]}
    inside = {f"MYSQL_{name}": str(value) for name, value in names.items()}
    return os.environ | inside | {"PATH": f"{tools}:{os.environ['PATH']}"}


def run(name: str, *words: Path, env: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    command = [ROOT / "deploy" / "vm" / name, *words]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def test_a_backup_is_restored_into_an_empty_database(tmp_path: Path) -> None:
    dumps = tmp_path / "dumps"
    dumps.mkdir()
    for day in range(10, 10 + KEPT):
        (dumps / f"melon-202401{day}T030000Z.sql.gz").touch()
    with fresh_database("mariadb", tmp_path) as url, fresh_database("mariadb", tmp_path) as empty:
        app = make_app(environment("mariadb", url), tmp_path)
        ada = Account(app)
        ada.first.push(projects=created(project(name="Swéep 🧹")))
        done = run("backup", dumps, env=docker(tmp_path, url))
        assert done.returncode == 0, done.stderr
        files = sorted(dumps.iterdir())
        assert len(files) == KEPT
        assert files[0].name == "melon-20240111T030000Z.sql.gz"
        assert files[-1].stat().st_mode & 0o077 == 0
        there = docker(tmp_path, empty)
        done = run("restore", files[-1], env=there)
        assert done.returncode == 0, done.stderr
        again = run("restore", files[-1], env=there)
        assert again.returncode == 1
        assert "not empty" in again.stderr
        restored = make_app(environment("mariadb", empty), tmp_path)
        body = {"email": ada.email, "password": ada.password}
        answer = restored.test_client().post("/api/v1/auth/login", json=body)
        assert answer.status_code == 200
        headers = {"Authorization": f"Bearer {answer.json['access_token']}"}
        pull = restored.test_client().post("/api/v1/sync/pull", json={}, headers=headers)
        assert [one["name"] for one in pull.json["changes"]["projects"]["created"]] == ["Swéep 🧹"]
        for one in (app, restored):
            with one.app_context():
                db.engine.dispose()


def test_a_dump_that_is_cut_off_is_not_kept(tmp_path: Path) -> None:
    tools, dumps = tmp_path / "bin", tmp_path / "dumps"
    tools.mkdir()
    (tools / "docker").write_text("#!/bin/sh\necho 'CREATE TABLE users'\n")
    (tools / "docker").chmod(0o755)
    done = run("backup", dumps, env=os.environ | {"PATH": f"{tools}:{os.environ['PATH']}"})
    assert done.returncode == 1
    assert "not whole" in done.stderr
    assert list(dumps.iterdir()) == []
