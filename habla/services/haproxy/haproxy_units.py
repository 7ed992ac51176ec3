"""The units of the instances, and the files of sysctl and rsyslog that they need."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from habla.services.haproxy.dialect import LOG_SOCKET
from habla.services.haproxy.haproxy_spec import HaproxySpec
from habla.services.haproxy.model import Dialect, Instance

__all__ = ["LOGS", "SYSCTL", "sysctl_text", "syslog_text", "unit_text"]

LOGS = "/var/log/haproxy"
SYSCTL = "/etc/sysctl.d/60-habla-haproxy.conf"
_KEEPALIVE = {"time": 60, "intvl": 10, "probes": 3}


def unit_text(instance: Instance, program: str, *, dialect: Dialect) -> str:
    """2.x: a master process that starts a new worker on USR2 and lets the old one finish.

    1.3.14: a new process takes over from the one named by ``-sf``, which finishes its connections.
    """
    config, run = f"/etc/haproxy/{instance.name}.cfg", f"/run/haproxy-{instance.name}"
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
        f"ExecStartPre={program} -c -q -f {config}",
        # Before the reload itself: what it binds to may become possible by this.
        f"ExecReload={sysctl}",
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


def sysctl_text(spec: HaproxySpec) -> str:
    """The settings of the kernel."""
    # Without it, connections that wait to be accepted by the old process of a 1.3.14 are reset on reload.
    lines = ["net.ipv4.tcp_migrate_req = 1"]
    # A peer that is gone without a word is noticed after 90 s of silence, not after two hours.
    lines += [f"net.ipv4.tcp_keepalive_{key} = {value}" for key, value in _KEEPALIVE.items()]
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
