"""Jabber: ejabberd, one cluster over all hosts that run it, formed and healed without a hand.

What the settings rest on (ejabberd 23.01): a packaged node starts by itself under another name, so its
database is emptied once before ours starts; ``ERL_DIST_PORT`` makes the nodes talk without epmd;
``net_ticktime`` bounds how long logins wait for a node that was lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from habla.model.offer import Balancer, HttpCheck, Offer, XmppCheck
from habla.model.programs import ProgramArchive, program_text
from habla.model.service import Log, Port, Service, ServiceState
from habla.model.site import Endpoints, Site
from habla.onhost.document import Action, Check, Directory, File, Health, Unit, secret
from habla.services.jabber.ejabberd_config import ejabberd_config
from habla.services.jabber.jabber_spec import JabberSpec

__all__ = ["CLUSTER_TOOL", "Jabber"]

_CONFIG = "/etc/ejabberd/ejabberd.yml"
_CONTROL = "/etc/default/ejabberd"
_CERTIFICATE = "/etc/ejabberd/habla.pem"
_DATA = "/var/lib/ejabberd"
_COOKIE = f"{_DATA}/.erlang.cookie"
_UNIT = "/etc/systemd/system/ejabberd.service"
CLUSTER_TOOL = "/usr/local/lib/habla/jabber-cluster"
"""The program on each host that starts, joins and heals its node."""
_CHECKER = "/usr/local/lib/habla/jabber-check"
_MODULES = "/usr/local/lib/habla/jabber-program"
_PACKAGE = ProgramArchive("habla.onhost.jabber", "habla_jabber")
_HEAL = "habla-jabber-cluster"


@dataclass(frozen=True)
class Jabber(Service):
    """ejabberd with its settings."""

    kind: ClassVar = "jabber"
    Settings: ClassVar = JabberSpec
    section: ClassVar = "services.jabber"
    roles: ClassVar = ("stable",)
    default_roles: ClassVar = ("stable",)
    home_role: ClassVar = "stable"
    daemon_users: ClassVar = ("ejabberd", "epmd")
    programs: ClassVar = (_PACKAGE,)
    # The database belongs to the Erlang node ejabberd@HOST.
    data_needs_host_name: ClassVar = True

    spec: JabberSpec = JabberSpec()
    name: str = "jabber"

    def offers(self) -> tuple[Offer, ...]:
        """XMPP for clients and servers, BOSH and websocket on one HTTP port, through the jabber instance."""
        jabber = partial(Offer, balancer=Balancer.JABBER, proxy_protocol=self.spec.proxy_protocol)
        offers = [
            jabber(
                "c2s",
                self.spec.c2s_port,
                public_port=5222,
                check=XmppCheck("jabber:client"),
                label="XMPP for {domain}",
            ),
            jabber(
                "bosh",
                self.spec.http_port,
                public_port=5280,
                check=HttpCheck("/bosh"),
                label="BOSH, websocket",
                url="http://127.0.0.1:{port}/bosh  ws://127.0.0.1:{port}/websocket",
            ),
        ]
        if self.spec.s2s_port is not None:
            check = XmppCheck("jabber:server")
            offers.append(jabber("s2s", self.spec.s2s_port, public_port=5269, check=check))
        return tuple(offers)

    def notes(self, endpoints: Endpoints) -> Iterable[str]:
        """A cluster of one node."""
        nodes = endpoints.named("c2s")
        if len(nodes) == 1:
            yield f"the Jabber cluster has one node, {nodes[0].host}: nobody can log in while it is down"

    def data_paths(self) -> tuple[str, ...]:
        """Accounts, rosters and messages. A host that joins the cluster gets them from the others."""
        return (_DATA,)

    def data_name(self, site: Site) -> str:
        """Accounts are of a domain."""
        return f"domain {site.fleet.domain}"

    def state(self, site: Site) -> ServiceState:
        """Config, certificate, cookie, and the tool that joins the node to its peers and mends splits."""
        own_certificate = self.spec.certificate is None
        files = {
            _CONFIG: File(
                ejabberd_config(self.spec, site, certificate=_CERTIFICATE),
                "0640",
                owner="root",
                group="ejabberd",
            ),
            _CONTROL: File(self._control(site)),
            _COOKIE: File(secret(self.spec.cookie, "ascii"), "0400", owner="ejabberd", group="ejabberd"),
            _UNIT: File(self._unit(site)),
            CLUSTER_TOOL: File(_LAUNCHER, "0755"),
            _CHECKER: File(program_text("jabber_check"), "0755"),
            f"/etc/systemd/system/{_HEAL}.service": File(self._heal_service(site)),
            f"/etc/systemd/system/{_HEAL}.timer": File(_HEAL_TIMER),
        }
        if self.spec.certificate is not None:
            files[_CERTIFICATE] = File(secret(self.spec.certificate), "0640", owner="root", group="ejabberd")
        return ServiceState(
            packages=("ejabberd", "openssl"),
            directories={_DATA: Directory("0750", owner="ejabberd", group="ejabberd")},
            files=files,
            # The agent brings it along.
            archives={_MODULES: _PACKAGE.archive},
            stopped=("epmd.service", "epmd.socket"),
            units={
                "ejabberd.service": Unit(
                    restart_on=(_CONTROL, _COOKIE),
                    reload_on=(_CONFIG, *([] if own_certificate else [_CERTIFICATE])),
                ),
                f"{_HEAL}.timer": Unit(restart_on=(f"/etc/systemd/system/{_HEAL}.timer",)),
            },
            # ejabberd's own reader of its config; the program may be as new as the config.
            checks={"ejabberd": Check(("python3", f"{{{_CHECKER}}}", f"{{{_CONFIG}}}"), (_CONFIG, _CHECKER))},
            actions={
                "jabber-cluster": Action(
                    (CLUSTER_TOOL, "settle", *self._peers(site)),
                    inputs=(f"/etc/systemd/system/{_HEAL}.service", _CONTROL, _MODULES),
                )
            },
            # A node that waits for a host that is deployed later is well; that host's apply proves both.
            health={
                name: Health(
                    "ejabberd.service",
                    command=(CLUSTER_TOOL, "well", str(site.address), str(port)),
                    deadline=60,
                )
                for name, port in (("c2s", self.spec.c2s_port), ("http", self.spec.http_port))
            },
            logs=(
                Log(
                    "/var/log/ejabberd/*.log",
                    size="10M",
                    reopen="ejabberdctl reopen-log",
                    rule="ejabberd",
                    files=3,
                ),
            ),
            ports=tuple(Port(number) for number in self._ports if number is not None),
            data=(_DATA,),
        )

    @property
    def _ports(self) -> tuple[int | None, ...]:
        return self.spec.c2s_port, self.spec.s2s_port, self.spec.http_port, self.spec.cluster_port

    def _control(self, site: Site) -> str:
        lines = [
            f"ERLANG_NODE=ejabberd@{site.host}",
            f"INET_DIST_INTERFACE={site.address}",
            f"ERL_DIST_PORT={self.spec.cluster_port}",
            # Should anything start an epmd all the same, then not for everybody.
            "ERL_EPMD_ADDRESS=127.0.0.1",
            "ERL_MAX_PORTS=65536",
            # net_ticktime is for ejabberdctl, which is a node of its own and does not read ejabberd.yml: with
            # Erlang's 60 s the server takes it for lost while a command waits ("nodedown").
            f'ERL_OPTIONS="-env ERL_CRASH_DUMP_BYTES 0 -kernel net_ticktime {self.spec.net_ticktime}"',
            "EJABBERD_PID_PATH=/run/ejabberd/ejabberd.pid",
            f"EJABBERD_CONFIG_PATH={_CONFIG}",
        ]
        return "\n".join(lines) + "\n"

    def _peers(self, site: Site) -> tuple[str, ...]:
        return tuple(end.host for end in site.fleet.endpoints.named("c2s") if end.host != site.host)

    def _heal_service(self, site: Site) -> str:
        return (
            f"[Unit]\nDescription=habla: ejabberd cluster of {site.host}\nAfter=ejabberd.service\n\n"
            # It waits while ejabberd waits for other nodes, and merges what was apart.
            f"[Service]\nType=oneshot\nTimeoutStartSec=6h\n"
            f"ExecStart={' '.join((CLUSTER_TOOL, 'heal', *self._peers(site)))}\n"
        )

    def _unit(self, site: Site) -> str:
        prepare = (CLUSTER_TOOL, "prepare", *self._peers(site))
        if self.spec.certificate is None:
            prepare += ("--certificate", _CERTIFICATE, "--domain", site.fleet.domain)
        return _unit(" ".join(prepare))


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


_LAUNCHER = f"""\
#!/usr/bin/python3
# What Python compiles of the modules goes where only root may write.
import sys

sys.pycache_prefix = "/run/habla-jabber/pycache"
sys.path.insert(0, "{_MODULES}")
from habla_jabber.jabber_main import main

sys.exit(main())
"""


def _unit(prepare: str) -> str:
    """Instead of Debian's unit, which requires epmd: with a fixed port nobody asks it, so it need not run.

    Each start brings the cluster's service along, which sees the start through.
    """
    return f"""\
[Unit]
Description=ejabberd
After=network.target
Wants={_HEAL}.service

[Service]
# Not Type=notify: joining a cluster stops and starts ejabberd inside one process, and its STOPPING=1 would
# make systemd kill that process when the stop times out.
Type=exec
User=ejabberd
Group=ejabberd
RuntimeDirectory=ejabberd
LimitNOFILE=65536
TimeoutStartSec=280
TimeoutStopSec=60
ExecStartPre=+{prepare}
ExecStart=/usr/sbin/ejabberdctl foreground
ExecStop=/bin/sh -c '/usr/sbin/ejabberdctl stop && /usr/sbin/ejabberdctl stopped'
ExecReload=/usr/sbin/ejabberdctl reload_config
PrivateDevices=yes
PrivateTmp=yes
ProtectHome=yes
ProtectSystem=full

[Install]
WantedBy=multi-user.target
"""
