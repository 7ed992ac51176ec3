"""HAProxy's releases: the place of each version's program, and its build from the upstream archive.

Each release has a directory of its own, named by version and archive. So a new release is built while the old
one still runs, and the old one is there to go back to, also when both have the same version. It is a
component of its host: applied before the balancer that uses it, removed after the balancer has left it.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import assert_never

from habla.errors import Fault
from habla.model.spec import ArchiveSpec
from habla.onhost.document import Action, Archive, File, HostState
from habla.services.haproxy.haproxy_spec import (
    DISTRIBUTION,
    INSTANCES,
    DialectName,
    HaproxySpec,
    InstanceName,
)

__all__ = ["binary", "built", "release_faults", "release_states"]

_DISTRIBUTIONS = "/usr/sbin/haproxy"
_SECONDS = 900
_COMPILER = ("gcc", "libc6-dev", "make")
_BUILD = """\
#!/bin/sh
# Builds HAProxy {version}. The program appears in one step: whole, and of this version by its own words.
set -eu
cd {directory}
# One build at a time: whoever started it may have been killed while it went on.
exec 9>.lock
flock 9
rm -rf .building
trap 'rm -rf .building' EXIT
# The program's own place, which an archive may have given to its directory.
[ ! -d haproxy ] || mv haproxy sources
for top in . */ none; do
    [ ! -f "$top/Makefile" ] || break
done
if [ "$top" = none ]; then
    echo 'no Makefile in the archive, neither at its top nor one directory below' >&2
    exit 1
fi
mkdir .building
cp -R "$top"/* .building/
make -s -C .building clean >.building/log 2>&1 || true
# Last in line for the processors, as this host serves meanwhile.
if ! timeout {seconds} nice -n 19 make -C .building -j "$(nproc)" {flags} >>.building/log 2>&1; then
    # What failed, which need not be what was said last: several compilers run at once.
    words='error:|error [0-9]|\\*\\*\\*|undefined reference|not found'
    grep -Eiq "$words" .building/log || words=.
    grep -Ei -A 2 --no-group-separator "$words" .building/log | tail -n 18 >&2
    exit 1
fi
said=$(.building/haproxy -v 2>&1 | head -n 1)
case "$said" in
    *' version {version} '* | *' version {version}-'*) ;;
    *)
        echo "not HAProxy {version}: what the archive builds says: $said" >&2
        exit 1
        ;;
esac
sync .building/haproxy
mv -f .building/haproxy haproxy
sync .
"""


def release_faults(spec: HaproxySpec) -> list[Fault]:
    """The faults of versions without an archive, and of versions that do not know the config's dialect."""
    faults = []
    if spec.version is not None:
        faults += _misfit("load_balancer", spec.version, dialect=spec.dialect)
    for name in INSTANCES:
        own = spec.instance(name).version
        if own is not None:
            faults += _misfit(f"load_balancer.{name}", own, dialect=spec.dialect_of(name))
        version = spec.version_of(name)
        if version != DISTRIBUTION and version not in spec.releases:
            fix = f"add {version}: {{url: …, sha256: …}}, or path: for an archive beside the stack"
            rule = "the distribution does not have this version, so the settings must say where to get it"
            faults.append(Fault("load_balancer.releases", "missing", value=version, rule=rule, fix=fix))
    if DISTRIBUTION in spec.releases:
        path = f"load_balancer.releases.{DISTRIBUTION}"
        rule = "distribution is Debian's own package, which habla does not build"
        faults.append(
            Fault(path, "not a release", value=DISTRIBUTION, rule=rule, fix="name the release by its number")
        )
    return faults


def built(spec: HaproxySpec) -> dict[str, ArchiveSpec]:
    """The versions that instances run and hosts have to build, sorted, with their archives."""
    versions = sorted({spec.version_of(name) for name in INSTANCES} & spec.releases.keys())
    archives = {version: spec.releases[version].archive for version in versions}
    return {version: archive for version, archive in archives.items() if archive is not None}


def binary(spec: HaproxySpec, instance: InstanceName, *, archives: Mapping[str, Archive]) -> str:
    """The program that an instance runs. archives: of the versions that are built."""
    version = spec.version_of(instance)
    if version == DISTRIBUTION:
        return _DISTRIBUTIONS
    release = spec.releases.get(version)
    given = release.binary if release else None
    return given or f"{_directory(version, archives.get(version))}/haproxy"


def release_states(host: str, archives: Mapping[str, Archive]) -> tuple[HostState, ...]:
    """One component for each version that is built on a host. archives: by version."""
    return tuple(_state(host, version, archive=archive) for version, archive in sorted(archives.items()))


def _state(host: str, version: str, *, archive: Archive) -> HostState:
    directory = _directory(version, archive)
    script = f"{directory}.build"
    packages, flags = _recipe(version)
    words = " ".join(map(shlex.quote, flags))
    # The script gives up first, and takes the compilers with it.
    text = _BUILD.format(version=version, directory=directory, flags=words, seconds=_SECONDS - 60)
    return HostState(
        host=host,
        component=_name(version, archive).replace(".", "-"),
        packages=tuple(sorted((*_COMPILER, *packages))),
        files={script: File(text, "0755")},
        archives={directory: archive},
        actions={f"build-{version}": Action((script,), inputs=(directory, script), timeout=_SECONDS)},
    )


def _recipe(version: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The libraries of a version besides a compiler, and the words for ``make``."""
    dialect = _dialect(version)
    match dialect:
        case "1.3.14":
            # The program relies on the behaviour of the C compilers of its day.
            words = "-std=gnu89 -O2 -fno-strict-aliasing -fwrapv"
            # glibc's regular expressions are enough for habla's configs, and libpcre 8 leaves Debian.
            return (), ("TARGET=linux26", "CPU=generic", "USE_PCRE=", f"CPU_CFLAGS={words}", "DEBUG_CFLAGS=")
        case "2.x":
            # The cookie rules need PCRE; the unit is told by sd_notify when the program is ready.
            uses = ("PCRE2", "PCRE2_JIT", "OPENSSL", "SYSTEMD")
            return (
                ("libpcre2-dev", "libssl-dev", "libsystemd-dev"),
                ("TARGET=linux-glibc", *(f"USE_{use}=1" for use in uses), "DEBUG_CFLAGS="),
            )
        case _:
            assert_never(dialect)


def _dialect(version: str) -> DialectName:
    return "1.3.14" if _numbers(version) < (2,) else "2.x"


def _misfit(path: str, version: str, *, dialect: DialectName) -> list[Fault]:
    match dialect:
        case "1.3.14":
            fits = version != DISTRIBUTION and (1, 3, 14) <= _numbers(version) < (1, 4)
            rule = "HAProxy 1.3.14 and later releases of 1.3 speak dialect 1.3.14"
        case "2.x":
            fits = version == DISTRIBUTION or _numbers(version) >= (2, 6)
            rule = "the distribution's HAProxy, and releases from 2.6 on, speak dialect 2.x"
        case _:
            assert_never(dialect)
    if fits:
        return []
    other = "2.x" if dialect == "1.3.14" else "1.3.14"
    fix = f"set {path}.dialect to {other}, or remove the version"
    return [Fault(f"{path}.version", f"does not speak dialect {dialect}", value=version, rule=rule, fix=fix)]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _directory(version: str, archive: Archive | None) -> str:
    return f"/opt/haproxy/{_name(version, archive).removeprefix('haproxy-')}"


def _name(version: str, archive: Archive | None) -> str:
    # Without its archive a release is at fault already; it is shown to the end for the sake of other faults.
    return f"haproxy-{version}-{archive.sha256[:8] if archive else 'unknown'}"
