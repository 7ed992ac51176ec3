"""The text of ejabberd's config."""

from __future__ import annotations

from habla.model.quoting import yaml_text
from habla.model.site import Site
from habla.services.jabber.jabber_spec import JabberSpec

__all__ = ["ejabberd_config"]


def ejabberd_config(spec: JabberSpec, site: Site, *, certificate: str) -> str:
    """The text of ejabberd.yml. certificate: the path of the file with key and chain."""
    proxied = "true" if spec.proxy_protocol else "false"
    admins = "".join(f"        - {yaml_text(admin)}\n" for admin in spec.admins)
    return f"""\
hosts:
  - {site.fleet.domain}

loglevel: info
# logrotate rotates by size and asks for a new file
log_rotate_count: 0

certfiles:
  - {certificate}

listen:
  -
    port: {spec.c2s_port}
    ip: "{site.address}"
    module: ejabberd_c2s
    max_stanza_size: 262144
    shaper: c2s_shaper
    access: c2s
    starttls_required: true
    use_proxy_protocol: {proxied}
{_s2s(spec, site, proxied=proxied)}\
  -
    port: {spec.http_port}
    ip: "{site.address}"
    module: ejabberd_http
    use_proxy_protocol: {proxied}
    request_handlers:
      /bosh: mod_bosh
      /websocket: ejabberd_http_ws

# Seconds until a lost node is given up; its peers' logins wait for as long.
net_ticktime: {spec.net_ticktime}

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
  max_user_sessions: {spec.max_sessions_per_user}
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


def _s2s(spec: JabberSpec, site: Site, *, proxied: str) -> str:
    if spec.s2s_port is None:
        return ""
    return f"""\
  -
    port: {spec.s2s_port}
    ip: "{site.address}"
    module: ejabberd_s2s_in
    max_stanza_size: 524288
    shaper: s2s_shaper
    use_proxy_protocol: {proxied}
"""
