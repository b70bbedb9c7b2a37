"""A MariaDB of a test's own, which takes encrypted connections only."""

import getpass
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Self

import pymysql
from conftest import missing, want_servers
from servers import START_SECONDS, STOP_SECONDS, free_port

# Debian has the server where only root looks.
PATH = f"{os.environ['PATH']}:/usr/local/sbin:/usr/sbin:/sbin"
INSTALL = "mariadb-install-db"
OPTIONS = ("--no-defaults", f"--user={getpass.getuser()}")


class PrivateMariaDB:
    """Shows `certificate`, a PEM file with its key, which is for 127.0.0.1.

    `url` is a database's that is there as soon as the server answers; `options` are further ones
    of mariadbd.
    """

    def __init__(self, folder: Path, certificate: Path, *options: str) -> None:
        self.port = free_port()
        self.url = f"mysql://melon:melon@127.0.0.1:{self.port}/melon"
        self._data, self._log = folder / "data", folder / "mariadb.log"
        # At its start a server deletes what looks like temporary tables, of others, too: one that
        # runs here already may crash over its own.
        self._environ = os.environ | {"PATH": PATH, "TMPDIR": str(folder)}
        first = folder / "first.sql"
        first.write_text(
            "CREATE DATABASE melon;\n"
            "CREATE USER melon@'%' IDENTIFIED BY 'melon';\n"
            "GRANT ALL ON melon.* TO melon@'%';\n"
        )
        self._command = [
            "mariadbd",
            *OPTIONS,
            f"--datadir={self._data}",
            f"--socket={folder / 'socket'}",
            f"--init-file={first}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            f"--port={self.port}",
            f"--ssl-cert={certificate}",
            f"--ssl-key={certificate}",
            "--require-secure-transport=ON",
            *options,
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        want_servers()
        if not all(shutil.which(tool, path=PATH) for tool in ("mariadbd", INSTALL)):
            missing("mariadb-server")
        install = [INSTALL, *OPTIONS, f"--datadir={self._data}", "--skip-test-db"]
        subprocess.run(install, env=self._environ, check=True, capture_output=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Connections to it are refused from now on."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(STOP_SECONDS)
        self._process = None

    def freeze(self) -> None:
        """It holds its connections and takes new ones, and answers none of them."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def start(self) -> None:
        """Returns at once."""
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environ, stdout=log, stderr=log
            )

    def await_answer(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if time.monotonic() > deadline:
                raise RuntimeError(f"MariaDB does not start:\n{self._log.read_text()}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            self.connect(ssl={"check_hostname": False}).close()
        except pymysql.OperationalError:
            return False
        return True

    def connect(self, **options: object) -> "pymysql.Connection[pymysql.cursors.Cursor]":
        who = {"user": "melon", "password": "melon", "database": "melon"}
        return pymysql.connect(host="127.0.0.1", port=self.port, **who, **options)
