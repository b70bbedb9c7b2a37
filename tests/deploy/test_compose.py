"""docker-compose.yml: web, MySQL and Redis with one command; no Docker runs here."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from paas import PROCFILE, ROOT

import config
from melon_api.live.server import LAST_SECONDS

FILE = ROOT / "docker-compose.yml"
COMPOSE = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
SERVERS = {"mysql", "redis"}


def filled(text: str, **environ: str) -> str:
    """As Compose does it: `${NAME:-default}`."""
    return re.sub(r"\$\{(\w+):-(.*?)\}", lambda m: environ.get(m[1]) or m[2], text)


def settings(service: str = "web", **environ: str) -> dict[str, str]:
    """What a container of the app gets; from `.env` by `environ`."""
    own = SERVICES[service]["environment"]
    return environ | {name: filled(text, **environ) for name, text in own.items()}


def checked(path: Path) -> "subprocess.CompletedProcess[str]":
    script = "from check_jsonschema import main; main()"
    command = [sys.executable, "-c", script, "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_is_as_the_specification_wants(tmp_path: Path) -> None:
    """Against the schema of Compose; which would see a slip."""
    done = checked(FILE)
    assert done.returncode == 0, done.stdout + done.stderr
    slip = tmp_path / FILE.name
    slip.write_text(FILE.read_text().replace("healthcheck:", "healthchek:"))
    done = checked(slip)
    assert done.returncode == 1
    assert "healthchek" in done.stdout


def test_it_starts_what_the_procfile_says_one_after_the_other() -> None:
    assert set(SERVICES) == {*PROCFILE, *SERVERS}
    for name, command in PROCFILE.items():
        assert SERVICES[name]["command"] == command
        assert SERVICES[name]["build"] == "."
    healthy = {name: {"condition": "service_healthy"} for name in SERVERS}
    assert SERVICES["release"]["depends_on"] == healthy
    done = {"release": {"condition": "service_completed_successfully"}}
    assert SERVICES["web"]["depends_on"] == healthy | done
    assert all(SERVICES[name]["healthcheck"]["test"][0] == "CMD" for name in SERVERS)
    assert "restart" not in SERVICES["release"], "a release that failed is told, not repeated"
    assert SERVICES["web"]["stop_grace_period"] == "30s"


@pytest.mark.parametrize("name", ["development", "production"])
def test_the_server_starts_with_what_it_gets(name: str, tmp_path: Path) -> None:
    """A laptop's DATABASE_URL, HOST and PORT in `.env` are not the container's."""
    laptop = {"DATABASE_URL": "sqlite:///here.db", "HOST": "127.0.0.1", "PORT": "8123"}
    secret = {"JWT_SECRET_KEY": "an example of a secret, 32 bytes"}
    environ = settings() if name == "development" else settings(APP_ENV=name, **laptop, **secret)
    made = config.load(environ, tmp_path)
    assert name == made.APP_ENV
    assert "@mysql:3306/melon" in made.SQLALCHEMY_DATABASE_URI
    assert (environ["HOST"], environ["PORT"]) == ("0.0.0.0", "8000")
    (port,) = SERVICES["web"]["ports"]
    assert filled(port) == "127.0.0.1:8000:8000"
    assert filled(port, PORT="8123") == "127.0.0.1:8123:8000"


def test_the_live_process_is_beside_the_server_where_phones_look(tmp_path: Path) -> None:
    """With all of the server's settings but the port, which is LIVE_PORT's on a laptop, too, and
    the one that nginx passes streams on to."""
    live, web = SERVICES["live"], SERVICES["web"]
    assert settings("live") | {"PORT": settings()["PORT"]} == settings()
    alike = ("build", "env_file", "volumes", "depends_on", "restart")
    assert [live[name] for name in alike] == [web[name] for name in alike]
    made = config.load(settings("live"), tmp_path)
    assert (made.HOST, made.PORT) == ("0.0.0.0", made.LIVE_PORT)
    (port,) = live["ports"]
    assert filled(port) == f"127.0.0.1:{made.LIVE_PORT}:{made.PORT}"
    assert filled(port, LIVE_PORT="8124") == f"127.0.0.1:8124:{made.PORT}"
    nginx = (ROOT / "deploy" / "nginx.conf").read_text()
    assert f"upstream melon_live {{\n        server 127.0.0.1:{made.LIVE_PORT};" in nginx
    assert int(live["stop_grace_period"].removesuffix("s")) > LAST_SECONDS


def test_the_servers_are_those_that_the_settings_name() -> None:
    url, made = urlsplit(settings()["DATABASE_URL"]), SERVICES["mysql"]["environment"]
    assert url.hostname == "mysql"
    names = [f"MYSQL_{what}" for what in ("USER", "PASSWORD", "DATABASE")]
    assert [url.username, url.password, url.path[1:]] == [made[name] for name in names]
    assert urlsplit(settings()["REDIS_URL"]).hostname == "redis"
    assert not [name for name in SERVERS if "ports" in SERVICES[name]]


def test_what_must_last_is_in_a_volume() -> None:
    """The app's is the folder that the image has made for its user."""
    used = {
        name: dict([v.split(":")]) for name in SERVICES for v in SERVICES[name].get("volumes", [])
    }
    assert used["mysql"] == {"mysql": "/var/lib/mysql"}
    assert used["web"] == used["release"] == {"instance": "/app/instance"}
    assert set(COMPOSE["volumes"]) == {"mysql", "instance"}
    image = (ROOT / "Dockerfile").read_text()
    (user,) = re.findall(r"^USER (\d+):\d+$", image, re.MULTILINE)
    assert f"RUN install -d -o {user} -g {user} instance\n" in image
    assert "WORKDIR /app\n" in image
