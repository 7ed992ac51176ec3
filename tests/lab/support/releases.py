"""Releases of HAProxy for tests: Debian's own source, and small programs that only say that they are one."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path

from habla.errors import LabError
from habla.lab.apt import Apt, suite

_MAKEFILE = """\
haproxy: haproxy.c
	$(WAIT)
	$(CC) -o haproxy haproxy.c
clean:
	rm -f haproxy
"""
_PROGRAM = """\
#include <stdio.h>
#include <string.h>
int main(int count, char **words)
{
    for (int i = 1; i < count; i++) {
        if (!strcmp(words[i], "-v"))
            return puts("HAProxy version VERSION 2026/01/01") < 0;
        if (!strcmp(words[i], "-c"))
            return 0;
    }
    fputs("I build, but I do not live\\n", stderr);
    return 3;
}
"""


def mortal(version: str) -> dict[str, str]:
    """A release whose program builds, knows its version, takes every config, and ends when it is started."""
    return {"Makefile": _MAKEFILE, "haproxy.c": _PROGRAM.replace("VERSION", version)}


def tar(files: dict[str, str], top: str = "", links: dict[str, str] | None = None) -> bytes:
    """Files in a compressed tar archive, below a directory if one is given."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(top + name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(top + name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return buffer.getvalue()


def debian_source(directory: Path) -> tuple[str, Path]:
    """HAProxy as upstream released it, out of this machine's own package sources: version and archive.

    The newest that can be had: mirrors may know of sources that they do not hold.
    """
    directory.mkdir(parents=True)
    apt = Apt(directory, Path("/var/lib/dpkg/status"))
    apt.update()
    lines = [line for line in apt.sources().splitlines() if f" {suite()} " in line]
    sources = directory / "sources.list"
    sources.write_text("".join(line.replace("deb ", "deb-src ", 1) + "\n" for line in lines))
    with (directory / "apt.conf").open("a") as config:
        config.write(f'Dir::Etc::sourcelist "{sources}";\nDir::Etc::sourceparts "/dev/null";\n')
    apt.get("update", what="fetching the list of sources")
    done = subprocess.run(
        ["apt-get", "source", "--download-only", "haproxy"],
        cwd=directory,
        env={**os.environ, **apt.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise LabError(f"no source of haproxy: {done.stderr}")
    (archive,) = directory.glob("haproxy_*.orig.tar.gz")
    return archive.name.removeprefix("haproxy_").removesuffix(".orig.tar.gz"), archive
