"""The verbs of the command line. Each function gets a lab and a request, and returns a value for JSON."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from habla.errors import LabError
from habla.lab import cgroups, inotify, namespaces, records, requirements, volumes
from habla.lab.apt import checked_release, suite
from habla.lab.control import connect, ensure_supervisor, request, supervisor_pid
from habla.lab.image import ensure_base, ensure_root, image_directory
from habla.lab.keys import ensure_key
from habla.lab.lab_partitions import checked
from habla.lab.paths import LabPaths, locked
from habla.lab.pool import ensure_pool, publish
from habla.lab.records import LabConfig

__all__ = ["ask", "host_create", "lab_create", "lab_delete", "run_in_network", "start", "status"]


def lab_create(paths: LabPaths, wanted: dict[str, Any]) -> dict[str, Any]:
    """Make or update the lab. Its hosts stay as they are.

    wanted: ``packages`` and ``releases`` (lists of names), ``management`` and ``outside`` (networks). All are
    optional, and a value that is not given stays as it is. Raises LabError.
    """
    unknown = sorted(set(wanted) - {"packages", "releases", "management", "outside"})
    if unknown:
        raise LabError(f"lab-create: unknown key {', '.join(unknown)}")
    requirements.check()
    before = records.read_config(paths)
    given = {key: value for key, value in wanted.items() if value is not None}
    releases = given.pop("releases", None) or sorted(before.images if before else ()) or [suite()]
    if "packages" in given:
        given["packages"] = tuple(sorted(set(given["packages"])))
    config = replace(before or LabConfig(), **given)
    if before is not None:
        _refuse_new_networks(paths, before, config=config)
    config = replace(config, images={release: ensure_base(checked_release(release)) for release in releases})
    pools = {release: ensure_pool(config.packages, image) for release, image in config.images.items()}
    with locked(paths.lock):
        paths.root.mkdir(parents=True, exist_ok=True)
        paths.root.chmod(0o700)
        records.write_config(paths, config)
        ensure_key(paths.keys / "id_ed25519", "habla lab")
        for release, pool in pools.items():
            publish(pool, paths.pool(release))
    ensure_supervisor(paths).close()
    return {
        "directory": str(paths.root),
        "images": dict(config.images),
        "management": config.management,
        "outside": config.outside,
        "pool": str(paths.pools),
        "private_key": (paths.keys / "id_ed25519").read_text(),
        "private_key_file": str(paths.keys / "id_ed25519"),
        "public_key": (paths.keys / "id_ed25519.pub").read_text().strip(),
    }


def _refuse_new_networks(paths: LabPaths, before: LabConfig, *, config: LabConfig) -> None:
    changed = [name for name in ("management", "outside") if getattr(before, name) != getattr(config, name)]
    if changed:
        raise LabError(
            f"the lab in {paths.root} already has other networks ({', '.join(changed)})\n"
            "  rule: the networks of a lab are fixed at its creation\n  fix:  lab-delete, then lab-create"
        )


def lab_delete(paths: LabPaths) -> dict[str, Any]:
    """Stop the lab and remove its files, except ``state``, which belongs to Pulumi."""
    with locked(paths.lock):
        cgroups.sweep(paths.identity)
        # Nothing is removed from a directory that holds no lab, even if its files have the same names.
        if paths.config.exists():
            volumes.wait_until_free(paths)
            for directory in (paths.hosts, paths.trash, paths.pools, paths.keys):
                if directory.exists():
                    shutil.rmtree(directory)
            for path in (paths.log, paths.socket, paths.config):
                path.unlink(missing_ok=True)
        paths.supervisor_lock.unlink(missing_ok=True)
        if paths.root.is_dir() and not any(paths.root.iterdir()):
            paths.root.rmdir()
    return {"directory": str(paths.root)}


def host_create(paths: LabPaths, wanted: dict[str, Any]) -> dict[str, Any]:
    """Make or update a host, and the lab if there is none. Returns the host's addresses, ports and keys."""
    config = records.read_config(paths)
    release = wanted.get("release") or next(iter(sorted(config.images if config else ())), suite())
    if config is None or release not in config.images or not image_directory(config.images[release]).is_dir():
        lab_create(paths, {"releases": sorted({release, *(config.images if config else ())})})
        config = records.read_config(paths)
    assert config is not None
    image = config.images[release]
    # Not in the supervisor, which could not answer other requests meanwhile.
    if "/" in checked(str(wanted.get("name")), wanted.get("partitions")):
        ensure_root(image)
    message = {"verb": "host-create", "host": wanted, "image": image, **_room()}
    result: dict[str, Any] = request(ensure_supervisor(paths), message)
    return result


def ask(paths: LabPaths, verb: str, *, name: str) -> Any:
    """Send the supervisor a verb about one host. The supervisor is started if it does not run."""
    if records.read_config(paths) is None:
        if verb == "host-delete":
            return {"name": name}
        raise LabError(f"{paths.root} holds no lab")
    message = {"verb": verb, "name": name}
    return request(ensure_supervisor(paths), message | _room() if verb == "host-start" else message)


def start(paths: LabPaths) -> Any:
    """Start the supervisor and every host that does not run. Does nothing if there is no lab."""
    if records.read_config(paths) is None:
        return []
    return request(ensure_supervisor(paths), {"verb": "start", **_room()})


def _room() -> dict[str, int]:
    """The room that the machine has for hosts. The supervisor sees only its own processes."""
    return {"inotify_free": inotify.free_instances()}


def status(paths: LabPaths) -> dict[str, Any]:
    """Tell which hosts run. Changes nothing."""
    client = connect(paths)
    if client is None:
        hosts = [{"name": record.name, "running": False} for record in records.read_hosts(paths)]
        return {"exists": records.read_config(paths) is not None, "supervisor": None, "hosts": hosts}
    pid = supervisor_pid(client)
    answer = request(client, {"verb": "status"})
    return {"exists": True, "supervisor": pid, "hosts": answer["hosts"]}


def run_in_network(paths: LabPaths, which: str, *, command: list[str]) -> None:
    """Replace this process by a command in the network ``inside`` or ``outside`` of the lab.

    The command is killed when the lab ends.
    """
    if not command:
        raise LabError("the command is missing; write it after --")
    client = connect(paths)
    if client is None:
        raise LabError(f"the lab in {paths.root} does not run; start it with: python -m habla.lab start")
    pid = supervisor_pid(client)
    descriptor = request(client, {"verb": "status"})[which]
    group = Path(f"/proc/{pid}/root{cgroups.ROOT}", paths.identity, "outside")
    cgroups.join(group)
    network = os.open(f"/proc/{pid}/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    namespaces.setns(network, namespaces.CLONE_NEWNET)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        raise LabError(f"{command[0]}: {error.strerror}") from error
