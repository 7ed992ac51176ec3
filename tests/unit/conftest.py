"""Fixtures of the reference apps: daemons on loopback, and the apps that use them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from example_apps import PASSWORD, PYTHON, App, Backends, free_port, memcached, process


@pytest.fixture(scope="module")
def backends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backends]:
    """memcached, beanstalkd and MariaDB, with a database and a user whose password is hard to quote."""
    needed = ("memcached", "beanstalkd", "mariadbd", "mariadb-install-db")
    missing = [program for program in needed if shutil.which(program) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(
            f"needs root and {', '.join(missing) or 'nothing else'}: apt-get install mariadb-server …"
        )
    if subprocess.run([PYTHON, "-c", "import pymysql"], capture_output=True, check=False).returncode:
        pytest.skip("needs apt-get install python3-pymysql")
    directory = tmp_path_factory.mktemp("mariadb")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    data = ("--no-defaults", f"--datadir={directory}", "--user=root")
    subprocess.run(["mariadb-install-db", *data, "--skip-test-db"], check=True, **quiet)
    initial = directory / "init.sql"
    escaped = PASSWORD.replace("'", "''")
    initial.write_text(
        "CREATE DATABASE habla CHARACTER SET utf8mb4;\n"
        f"CREATE USER 'habla'@'127.0.0.1' IDENTIFIED BY '{escaped}';\n"
        "GRANT ALL ON habla.* TO 'habla'@'127.0.0.1';\n"
    )
    ports = {name: free_port() for name in ("MYSQL", "MEMCACHED", "MEMQD")}
    mysql = ("mariadbd", *data, f"--socket={directory}/sock", f"--init-file={initial}", "--skip-name-resolve")
    with ExitStack() as stack:
        stack.enter_context(
            process(
                ports["MYSQL"],
                *(*mysql, "--bind-address=127.0.0.1", f"--port={ports['MYSQL']}"),
                f"--log-error={directory}/error.log",
            )
        )
        stack.enter_context(memcached(ports["MEMCACHED"]))
        stack.enter_context(
            process(ports["MEMQD"], "beanstalkd", "-l", "127.0.0.1", "-p", str(ports["MEMQD"]))
        )
        yield Backends(
            {
                **{f"{name}_HOST": "127.0.0.1" for name in ports},
                **{f"{name}_PORT": str(port) for name, port in ports.items()},
                "MYSQL_USER": "habla",
                "MYSQL_PASSWORD": PASSWORD,
                "MYSQL_DATABASE": "habla",
            }
        )


@pytest.fixture(scope="module")
def rpc(backends: Backends) -> Iterator[App]:
    """RPC on stable1."""
    with backends.app("rpc") as app:
        yield app


@pytest.fixture(scope="module")
def web(backends: Backends) -> Iterator[App]:
    """The website on web1."""
    with backends.app("web", "web1") as app:
        yield app
