"""The units of the instances and of the guard beside them, and the files that these read."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import assert_never

from habla.model.programs import daemon_unit, launcher
from habla.services.haproxy.dialect import LOG_SOCKET
from habla.services.haproxy.haproxy_spec import INSTANCES, HaproxySpec, seconds_of
from habla.services.haproxy.model import Dialect, Instance

__all__ = [
    "GUARD",
    "GUARD_CONFIG",
    "GUARD_UNIT",
    "LAUNCHER",
    "LOGS",
    "MODULES",
    "PROGRAM",
    "SYSCTL",
    "guard_config",
    "sysctl_text",
    "syslog_text",
    "unit_text",
]

LOGS = "/var/log/haproxy"
SYSCTL = "/etc/sysctl.d/60-habla-balancer.conf"
#: The program that prepares an instance for its start, and that guards both of them.
PROGRAM = "/usr/local/lib/habla/balancer"
MODULES = f"{PROGRAM}-program"
GUARD = "habla-balancer.service"
GUARD_CONFIG = "/etc/habla/haproxy.json"
LAUNCHER = launcher(
    "Beside HAProxy: before its start, and while it runs",
    MODULES,
    main="habla_haproxy.haproxy_main",
    cache="habla-balancer",
)
# Seconds of silence and between questions, and how many questions stay unanswered.
_KEEPALIVE = {"time": 60, "intvl": 10, "probes": 3}
# 1.3 cannot say it for each connection, so that the times for servers are those for clients.
_KEEPALIVE_OF_1_3 = {"time": 15, "intvl": 5, "probes": 2}
# The kernel sends unacknowledged data again so often: for 25 s. Its default takes 15 minutes.
_RETRIES_OF_1_3 = 6
GUARD_UNIT = daemon_unit(
    "habla: closes connections to servers that HAProxy has lost",
    f"{PROGRAM} guard",
    # The directory is for the modules that Python compiles.
    rights=(
        "RuntimeDirectory=habla-balancer",
        "RuntimeDirectoryPreserve=yes",
        "CapabilityBoundingSet=CAP_KILL CAP_NET_ADMIN",
    ),
)


def unit_text(instance: Instance, program: str, *, dialect: Dialect) -> str:
    """2.x: a master process that starts a new worker on USR2 and lets the old one finish.

    1.3.14: a new process takes over from the one named by ``-sf``, which finishes its connections. Each start
    and reload first prepares the config that runs, in the directory of the instance below /run.
    """
    run = instance.run
    config, prepare = f"{run}/haproxy.cfg", f"{PROGRAM} prepare {instance.name}"
    match dialect:
        case Dialect.V2:
            start = f"ExecStart={program} -Ws -f {config} -p {run}/haproxy.pid"
            service = ["Type=notify", start, "ExecReload=/bin/kill -USR2 $MAINPID", "KillMode=mixed"]
        case Dialect.V1_3_14:
            command = f"{program} -D -f {config} -p {run}/haproxy.pid"
            service = [
                "Type=forking",
                f"PIDFile={run}/haproxy.pid",
                f"ExecStart={command}",
                f"ExecReload={command} -sf $MAINPID",
            ]
        case _:
            assert_never(dialect)
    sysctl = f"/lib/systemd/systemd-sysctl {SYSCTL}"
    lines = [
        "[Unit]",
        f"Description=HAProxy {instance.name}",
        "After=rsyslog.service",
        "",
        "[Service]",
        f"RuntimeDirectory=haproxy-{instance.name}",
        f"ExecStartPre={sysctl}",
        f"ExecStartPre={prepare}",
        f"ExecStartPre={program} -c -q -f {config}",
        # Before the reload itself, because the new process may bind to addresses that this makes possible.
        f"ExecReload={sysctl}",
        f"ExecReload={prepare} $MAINPID",
        *service,
        "Restart=always",
        "RestartSec=1",
        # Two descriptors a connection. In large steps, for a change of the unit takes a restart.
        f"LimitNOFILE={max(100_000, 4 * instance.maxconn)}",
        "",
        "[Install]",
        "WantedBy=multi-user.target",
    ]
    return "\n".join(lines) + "\n"


def guard_config(instances: Iterable[tuple[Instance, Dialect]]) -> str:
    """The instances as JSON, for the guard and for the preparation."""
    known = {
        instance.name: {
            "old": dialect is Dialect.V1_3_14,
            "config": instance.config,
            "run": instance.run,
            "unit": instance.unit,
            "stats_port": instance.stats_port,
            "stop_after": seconds_of(instance.stop_after),
        }
        for instance, dialect in instances
    }
    return json.dumps(known, indent=2, sort_keys=True) + "\n"


def sysctl_text(spec: HaproxySpec) -> str:
    """The settings of the kernel."""
    old = "1.3.14" in [spec.dialect_of(name) for name in INSTANCES]
    # Without it, connections that wait to be accepted by the old process of a 1.3.14 are reset on reload.
    lines = ["net.ipv4.tcp_migrate_req = 1"]
    # A peer that is gone without a word is noticed after 90 s of silence (1.3: 25 s), not after two hours.
    times = _KEEPALIVE_OF_1_3 if old else _KEEPALIVE
    lines += [f"net.ipv4.tcp_keepalive_{key} = {value}" for key, value in times.items()]
    if old:
        lines.append(f"net.ipv4.tcp_retries2 = {_RETRIES_OF_1_3}")
    if spec.vrrp is not None:
        # Both hosts listen on the shared address, also the one that does not have it.
        lines.append("net.ipv4.ip_nonlocal_bind = 1")
    return "\n".join(lines) + "\n"


def syslog_text(instances: Iterable[Instance]) -> str:
    """A socket and a file for each instance's log, which go nowhere else."""
    lines = [f'input(type="imuxsock" Socket="{LOG_SOCKET}" CreatePath="on")']
    for instance in instances:
        path = f"{LOGS}/{instance.name}.log"
        lines.append(f'{instance.facility}.* action(type="omfile" file="{path}" fileCreateMode="0640")')
        lines.append("& stop")
    return "\n".join(lines) + "\n"
