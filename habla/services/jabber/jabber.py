"""Jabber: ejabberd, one cluster over all hosts that run it, formed and healed without a hand.

What the settings rest on (ejabberd 23.01): a packaged node starts by itself under another name, so its
database is emptied once before ours starts; ``ERL_DIST_PORT`` makes the nodes talk without epmd;
``net_ticktime`` bounds how long logins wait for a node that was lost.
"""

from __future__ import annotations

from dataclasses import dataclass

from habla.model.programs import program_text
from habla.model.service import HttpCheck, Log, Offer, Port, ServiceState, Site, Stability, XmppCheck
from habla.onhost.document import Action, Directory, File, Health, Unit, secret
from habla.services.jabber.jabber_spec import JabberSpec

__all__ = ["Jabber"]

_CONFIG = "/etc/ejabberd/ejabberd.yml"
_CONTROL = "/etc/default/ejabberd"
_CERTIFICATE = "/etc/ejabberd/habla.pem"
_COOKIE = "/var/lib/ejabberd/.erlang.cookie"
_UNIT = "/etc/systemd/system/ejabberd.service"
_TOOL = "/usr/local/lib/habla/jabber-cluster"
_HEAL = "habla-jabber-cluster"


@dataclass(frozen=True)
class Jabber:
    """ejabberd with its settings."""

    spec: JabberSpec = JabberSpec()
    name: str = "jabber"
    kind: str = "jabber"
    stability: Stability = Stability.STABLE

    def offers(self) -> tuple[Offer, ...]:
        """XMPP for clients and servers, BOSH and websocket on one HTTP port, through the jabber instance."""
        offers = [
            Offer("c2s", self.spec.c2s_port, "jabber", 5222, check=XmppCheck("jabber:client")),
            Offer("bosh", self.spec.http_port, "jabber", 5280, check=HttpCheck("/bosh")),
        ]
        if self.spec.s2s_port is not None:
            offers.append(Offer("s2s", self.spec.s2s_port, "jabber", 5269, check=XmppCheck("jabber:server")))
        return tuple(offers)

    def state(self, site: Site) -> ServiceState:
        """Config, certificate, cookie, and the tool that joins the node to its peers and mends splits."""
        own_certificate = self.spec.certificate is None
        files = {
            _CONFIG: File(self._config(site), "0640", "root", "ejabberd"),
            _CONTROL: File(self._control(site)),
            _COOKIE: File(secret(self.spec.cookie), "0400", "ejabberd", "ejabberd"),
            _UNIT: File(_unit(own_certificate, site.domain)),
            _TOOL: File(program_text("jabber_cluster"), "0755"),
            f"/etc/systemd/system/{_HEAL}.service": File(self._heal_service(site)),
            f"/etc/systemd/system/{_HEAL}.timer": File(_HEAL_TIMER),
        }
        if self.spec.certificate is not None:
            files[_CERTIFICATE] = File(secret(self.spec.certificate), "0640", "root", "ejabberd")
        return ServiceState(
            packages=("ejabberd", "openssl"),
            directories={"/var/lib/ejabberd": Directory("0750", "ejabberd", "ejabberd")},
            files=files,
            stopped=("epmd.service", "epmd.socket"),
            units={
                "ejabberd.service": Unit(
                    restart_on=(_CONTROL, _COOKIE),
                    reload_on=(_CONFIG, *([] if own_certificate else [_CERTIFICATE])),
                ),
                f"{_HEAL}.timer": Unit(restart_on=(f"/etc/systemd/system/{_HEAL}.timer",)),
            },
            actions={
                "jabber-cluster": Action(
                    ("systemctl", "start", f"{_HEAL}.service"),
                    inputs=(f"/etc/systemd/system/{_HEAL}.service", _CONTROL),
                )
            },
            health={
                "c2s": Health(
                    "ejabberd.service", address=str(site.address), port=self.spec.c2s_port, deadline=60
                ),
                "http": Health(
                    "ejabberd.service", address=str(site.address), port=self.spec.http_port, deadline=60
                ),
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
            data=("/var/lib/ejabberd",),
        )

    @property
    def _ports(self) -> tuple[int | None, ...]:
        return self.spec.c2s_port, self.spec.s2s_port, self.spec.http_port, self.spec.cluster_port

    def _config(self, site: Site) -> str:
        proxied = "true" if self.spec.proxy_protocol else "false"
        admins = "".join(f'        - "{admin}"\n' for admin in self.spec.admins)
        return f"""\
hosts:
  - {site.domain}

loglevel: info
# logrotate rotates by size and asks for a new file
log_rotate_count: 0

certfiles:
  - {_CERTIFICATE}

listen:
  -
    port: {self.spec.c2s_port}
    ip: "{site.address}"
    module: ejabberd_c2s
    max_stanza_size: 262144
    shaper: c2s_shaper
    access: c2s
    starttls_required: true
    use_proxy_protocol: {proxied}
{self._s2s(site, proxied)}\
  -
    port: {self.spec.http_port}
    ip: "{site.address}"
    module: ejabberd_http
    use_proxy_protocol: {proxied}
    request_handlers:
      /bosh: mod_bosh
      /websocket: ejabberd_http_ws

# Seconds until a lost node is given up; its peers' logins wait for as long.
net_ticktime: {self.spec.net_ticktime}

s2s_use_starttls: required

auth_method: internal
auth_password_format: scram
disable_sasl_mechanisms:
  - "digest-md5"

acl:
  local:
    user_regexp: ""
  loopback:
    ip:
      - 127.0.0.0/8
{"  admin:" + chr(10) + "    user:" + chr(10) + admins if admins else ""}\

access_rules:
  local:
    allow: local
  c2s:
    deny: blocked
    allow: all
  register:
    allow: loopback

shaper:
  normal:
    rate: 3000
    burst_size: 20000
  fast: 100000

shaper_rules:
  max_user_sessions: {self.spec.max_sessions_per_user}
  max_user_offline_messages: 1000
  c2s_shaper:
    normal: all
  s2s_shaper: fast

modules:
  mod_adhoc: {{}}
  mod_admin_extra: {{}}
  mod_bosh: {{}}
  mod_caps: {{}}
  mod_disco: {{}}
  mod_last: {{}}
  mod_offline:
    access_max_user_messages: max_user_offline_messages
  mod_ping: {{}}
  mod_private: {{}}
  mod_roster:
    versioning: true
  mod_stream_mgmt:
    resend_on_timeout: if_offline
  mod_vcard: {{}}
"""

    def _s2s(self, site: Site, proxied: str) -> str:
        if self.spec.s2s_port is None:
            return ""
        return f"""\
  -
    port: {self.spec.s2s_port}
    ip: "{site.address}"
    module: ejabberd_s2s_in
    max_stanza_size: 524288
    shaper: s2s_shaper
    use_proxy_protocol: {proxied}
"""

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

    def _heal_service(self, site: Site) -> str:
        peers = " ".join(end.host for end in site.endpoints.named("c2s") if end.host != site.host)
        return (
            f"[Unit]\nDescription=habla: ejabberd cluster of {site.host}\nAfter=ejabberd.service\n\n"
            f"[Service]\nType=oneshot\nTimeoutStartSec=110\n"
            f"ExecStart={_TOOL} heal {site.host} {self.spec.cluster_port} {peers}".rstrip()
            + "\n"
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


def _unit(own_certificate: bool, domain: str) -> str:
    """Instead of Debian's unit, which requires epmd: with a fixed port nobody asks it, so it need not run."""
    prepare = f"{_TOOL} prepare"
    if own_certificate:
        prepare += f" {_CERTIFICATE} {domain}"
    return f"""\
[Unit]
Description=ejabberd
After=network.target

[Service]
# Not Type=notify: joining a cluster stops and starts ejabberd inside one process, and its STOPPING=1 would
# make systemd kill that process when the stop times out.
Type=exec
User=ejabberd
Group=ejabberd
RuntimeDirectory=ejabberd
LimitNOFILE=65536
TimeoutStartSec=120
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
