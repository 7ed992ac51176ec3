"""The verbs of the command line, each a function from a lab and a request to a value for JSON."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from habla.errors import LabError
from habla.lab import cgroups, namespaces, records, requirements, volumes
from habla.lab.control import connect, ensure_supervisor, request, supervisor_pid
from habla.lab.image import ensure_base, ensure_root, image_directory
from habla.lab.keys import ensure_key
from habla.lab.lab_partitions import checked
from habla.lab.paths import LabPaths, locked
from habla.lab.pool import ensure_pool, publish
from habla.lab.records import LabConfig

__all__ = ["ask", "host_create", "lab_create", "lab_delete", "run_in_network", "start", "status"]


def lab_create(paths: LabPaths, wanted: dict[str, Any]) -> dict[str, Any]:
    """Make the lab, or bring it to what is wanted; hosts are left as they are.

    wanted: ``packages`` (list of names), ``management`` and ``outside`` (networks), all optional: what is not
    given stays as it is. Raises LabError.
    """
    unknown = sorted(set(wanted) - {"packages", "management", "outside"})
    if unknown:
        raise LabError(f"lab-create: unknown key {', '.join(unknown)}")
    requirements.check()
    before = records.read_config(paths)
    given = {key: value for key, value in wanted.items() if value is not None}
    if "packages" in given:
        given["packages"] = tuple(sorted(set(given["packages"])))
    config = replace(before or LabConfig(), **given)
    if before is not None:
        _refuse_new_networks(paths, before, config)
    image = ensure_base()
    config = replace(config, image=image)
    pool = ensure_pool(config.packages, image)
    with locked(paths.lock):
        paths.root.mkdir(parents=True, exist_ok=True)
        paths.root.chmod(0o700)
        records.write_config(paths, config)
        ensure_key(paths.keys / "id_ed25519", "habla lab")
        publish(pool, paths.pool)
    ensure_supervisor(paths).close()
    return {
        "directory": str(paths.root),
        "image": image,
        "management": config.management,
        "outside": config.outside,
        "pool": str(paths.pool),
        "private_key": (paths.keys / "id_ed25519").read_text(),
        "private_key_file": str(paths.keys / "id_ed25519"),
        "public_key": (paths.keys / "id_ed25519.pub").read_text().strip(),
    }


def _refuse_new_networks(paths: LabPaths, before: LabConfig, config: LabConfig) -> None:
    changed = [name for name in ("management", "outside") if getattr(before, name) != getattr(config, name)]
    if changed:
        raise LabError(
            f"the lab in {paths.root} has other networks ({', '.join(changed)})\n"
            "  rule: fixed at its creation\n  fix: lab-delete, then lab-create"
        )


def lab_delete(paths: LabPaths) -> dict[str, Any]:
    """End everything of the lab and remove its files, but for ``state``, which is not the lab's."""
    with locked(paths.lock):
        cgroups.sweep(paths.identity)
        # Of a directory that holds no lab nothing is removed, whatever the names in it.
        if paths.config.exists():
            volumes.wait_until_free(paths)
            for directory in (paths.hosts, paths.trash, paths.pool, paths.keys):
                if directory.exists():
                    shutil.rmtree(directory)
            for path in (paths.log, paths.socket, paths.config):
                path.unlink(missing_ok=True)
        paths.supervisor_lock.unlink(missing_ok=True)
        if paths.root.is_dir() and not any(paths.root.iterdir()):
            paths.root.rmdir()
    return {"directory": str(paths.root)}


def host_create(paths: LabPaths, wanted: dict[str, Any]) -> dict[str, Any]:
    """Make a host, or bring it to what is wanted, making the lab too; returns how to reach it."""
    config = records.read_config(paths)
    if config is None or not image_directory(config.image).is_dir():
        lab_create(paths, {})
        config = records.read_config(paths)
    assert config is not None
    # Here and not in the supervisor, which would not serve others meanwhile.
    if "/" in checked(str(wanted.get("name")), wanted.get("partitions")):
        ensure_root(config.image)
    message = {"verb": "host-create", "host": wanted, "image": config.image}
    result: dict[str, Any] = request(ensure_supervisor(paths), message)
    return result


def ask(paths: LabPaths, verb: str, name: str) -> Any:
    """One of the verbs about one host that the supervisor knows; the supervisor is started when needed."""
    if records.read_config(paths) is None:
        if verb == "host-delete":
            return {"name": name}
        raise LabError(f"{paths.root} holds no lab")
    return request(ensure_supervisor(paths), {"verb": verb, "name": name})


def start(paths: LabPaths) -> Any:
    """Bring up what should run and does not. A directory without a lab is left alone."""
    if records.read_config(paths) is None:
        return []
    return request(ensure_supervisor(paths), {"verb": "start"})


def status(paths: LabPaths) -> dict[str, Any]:
    """What runs, without changing anything."""
    client = connect(paths)
    if client is None:
        hosts = [{"name": record.name, "running": False} for record in records.read_hosts(paths)]
        return {"exists": records.read_config(paths) is not None, "supervisor": None, "hosts": hosts}
    pid = supervisor_pid(client)
    answer = request(client, {"verb": "status"})
    return {"exists": True, "supervisor": pid, "hosts": answer["hosts"]}


def run_in_network(paths: LabPaths, which: str, command: list[str]) -> None:
    """Replace this process by a command in the lab's network ``inside`` or ``outside``.

    The command ends with the lab at the latest.
    """
    if not command:
        raise LabError("no command given")
    client = connect(paths)
    if client is None:
        raise LabError(f"the lab in {paths.root} does not run; fix: start")
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
