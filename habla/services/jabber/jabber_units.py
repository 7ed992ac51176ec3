"""The files of systemd and of ejabberdctl for a node of Jabber."""

from __future__ import annotations

import json

from habla.model.disk import size_bytes
from habla.model.programs import END_OF_ONESHOT, launcher
from habla.model.site import Site
from habla.services.jabber.jabber_domains import domains_of
from habla.services.jabber.jabber_spec import JabberSpec
from habla.services.jabber.jabber_sql import SCHEMA_LOGIN, uses_sql

__all__ = [
    "BOUNDS",
    "CERTIFICATE",
    "CHECKER",
    "CLUSTER_PROGRAMS",
    "CLUSTER_SETTINGS",
    "CLUSTER_TOOL",
    "CONFIG",
    "CONTROL",
    "DATA",
    "HEAL",
    "KEEP",
    "LAUNCHER",
    "SCHEMA",
    "cluster_settings",
    "control_file",
    "unit_files",
]

CONFIG = "/etc/ejabberd/ejabberd.yml"
CONTROL = "/etc/default/ejabberd"
CERTIFICATE = "/etc/ejabberd/habla.pem"
DATA = "/var/lib/ejabberd"
_TOOLS = "/usr/local/lib/habla"
# The program that starts, joins and heals the node of a host, and the modules that it is made of.
CLUSTER_TOOL, CLUSTER_PROGRAMS = f"{_TOOLS}/jabber-cluster", f"{_TOOLS}/jabber-program"
CLUSTER_SETTINGS = "/etc/habla/jabber-cluster.json"
CHECKER = f"{_TOOLS}/jabber-config"
BOUNDS, SCHEMA = f"{_TOOLS}/jabber-bounds", f"{_TOOLS}/jabber-schema"
# One node carries all sessions while the other is away; these are more than twice the most of the settings.
_DESCRIPTORS = 65536
HEAL, KEEP = "habla-jabber-cluster", "habla-jabber-bounds"


def unit_files(spec: JabberSpec, site: Site) -> dict[str, str]:
    """Name -> text, of all units."""
    return {
        "ejabberd.service": _unit(spec),
        f"{HEAL}.service": _heal_service(site),
        f"{HEAL}.timer": _HEAL_TIMER,
        f"{KEEP}.service": _keep_service(spec),
        f"{KEEP}.timer": _KEEP_TIMER,
    }


def control_file(spec: JabberSpec, site: Site) -> str:
    """The settings of ejabberdctl."""
    lines = [
        f"ERLANG_NODE=ejabberd@{site.host}",
        f"INET_DIST_INTERFACE={site.address}",
        f"ERL_DIST_PORT={spec.cluster_port}",
        # Should anything start an epmd all the same, then not for everybody.
        "ERL_EPMD_ADDRESS=127.0.0.1",
        f"ERL_MAX_PORTS={_DESCRIPTORS}",
        # net_ticktime is for ejabberdctl, which is a node of its own and does not read ejabberd.yml: with
        # Erlang's 60 s the server takes it for lost while a command waits ("nodedown").
        f'ERL_OPTIONS="-env ERL_CRASH_DUMP_BYTES 0 -kernel net_ticktime {spec.net_ticktime}"',
        "EJABBERD_PID_PATH=/run/ejabberd/ejabberd.pid",
        f"EJABBERD_CONFIG_PATH={CONFIG}",
    ]
    return "\n".join(lines) + "\n"


def cluster_settings(spec: JabberSpec, site: Site) -> str:
    """The settings of the cluster's programs: the other hosts, and domains to sign a certificate for."""
    domains = domains_of(spec, site.fleet.domain)
    signed = [name for name in domains if spec.certificate is None and not domains[name].certificate]
    peers = [end.host for end in site.fleet.endpoints.named("c2s") if end.host != site.host]
    settings = {"peers": peers, "certificate": CERTIFICATE, "domains": signed}
    return json.dumps(settings, indent=2, sort_keys=True) + "\n"


def _heal_service(site: Site) -> str:
    return (
        f"[Unit]\nDescription=habla: ejabberd cluster of {site.host}\nAfter=ejabberd.service\n\n"
        # It waits while ejabberd waits for other nodes, and merges data of nodes that were apart.
        f"[Service]\nType=oneshot\nTimeoutStartSec=6h\n{END_OF_ONESHOT}"
        f"ExecStart={CLUSTER_TOOL} heal\n"
    )


def _keep_service(spec: JabberSpec) -> str:
    has_archive = spec.modules.get("mod_mam", {}) is not None
    days = spec.archive.days if has_archive else 0
    most = size_bytes(spec.archive.size) if has_archive and spec.storage == "mnesia" else 0
    return f"""\
[Unit]
Description=habla: keep the archive and the rooms of ejabberd within their bounds

[Service]
Type=oneshot
TimeoutStartSec=2h
{END_OF_ONESHOT}StateDirectory={KEEP}
ExecStart={BOUNDS} /var/lib/{KEEP} {days} {most} {spec.rooms.unused_days}
"""


def _unit(spec: JabberSpec) -> str:
    """The unit that replaces Debian's, which requires epmd. A node with a fixed port needs no epmd.

    Each start also starts the cluster's service, which watches over it. Nothing in it depends on
    other hosts or on domains, because a change of a unit restarts it.
    """
    schema = f"ExecStartPre=+{SCHEMA} {SCHEMA_LOGIN} {DATA}/.habla-schema\n" if uses_sql(spec) else ""
    return f"""\
[Unit]
Description=ejabberd
After=network.target
Wants={HEAL}.service

[Service]
# Not Type=notify: joining a cluster stops and starts ejabberd inside one process, and its STOPPING=1 would
# make systemd kill that process when the stop times out.
Type=exec
User=ejabberd
Group=ejabberd
RuntimeDirectory=ejabberd
LimitNOFILE={_DESCRIPTORS}
TimeoutStartSec=280
TimeoutStopSec=60
ExecStartPre=+{CLUSTER_TOOL} prepare
ExecStartPre=+{CLUSTER_TOOL} certify
{schema}# Its log is a file; the journal has only what keeps it from starting.
ExecStart=/usr/sbin/ejabberdctl foreground-quiet
ExecStop=/bin/sh -c '/usr/sbin/ejabberdctl stop && /usr/sbin/ejabberdctl stopped'
ExecReload=+{CLUSTER_TOOL} certify
ExecReload=+{CHECKER} reload
PrivateDevices=yes
PrivateTmp=yes
ProtectHome=yes
ProtectSystem=full

[Install]
WantedBy=multi-user.target
"""


LAUNCHER = launcher(
    "habla's Jabber cluster", CLUSTER_PROGRAMS, main="habla_jabber.jabber_main", cache="habla-jabber"
)
_HEAL_TIMER = """\
[Unit]
Description=habla: keep the ejabberd cluster whole

[Timer]
OnActiveSec=30
OnUnitInactiveSec=30
AccuracySec=1s

[Install]
WantedBy=timers.target
"""
_KEEP_TIMER = """\
[Unit]
Description=habla: keep the data of ejabberd within its bounds

[Timer]
OnActiveSec=10min
OnUnitInactiveSec=1h
RandomizedDelaySec=5min

[Install]
WantedBy=timers.target
"""
