"""The text of a stack file for a new fleet. Pure: it neither asks questions nor writes files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from ipaddress import IPv4Address

from habla.services.catalog import default_roles

__all__ = ["NewHost", "new_stack"]

# The public addresses of lab hosts: https://www.rfc-editor.org/rfc/rfc5737.
_LAB_OUTSIDE = IPv4Address("203.0.113.10")
_FRONT = "front"


@dataclass(frozen=True)
class NewHost:
    """A host of a new fleet. address: where SSH reaches it; "" for one that the lab makes."""

    name: str
    role: str
    _: KW_ONLY
    address: str = ""
    port: int = 22
    host_key: str = ""
    user: str = "root"


def new_stack(environment: str, hosts: Sequence[NewHost], *, domain: str) -> str:
    """The text of ``stacks/Pulumi.ENVIRONMENT.yaml``.

    A fleet has one MySQL, memcached and memqd, so only the first front host gets them.
    """
    has_lab = any(not host.address for host in hosts)
    lines = [
        f"# The fleet of {environment}. docs/settings.md lists every setting.",
        f"# habla render -s {environment} shows what each host gets, and says what is wrong.",
        "config:",
        _explained(f"  habla:domain: {domain}", f"the website is www.{domain}"),
    ]
    if has_lab:
        lines += [
            "  # habla makes these hosts on this machine (docs/lab.md).",
            f"  habla:lab: {{directory: .lab-{environment}}}",
        ]
    lines += [
        "  habla:load_balancer:",
        _explained('    dialect: "2.x"', "Debian's HAProxy; 1.3.14 needs its release archive"),
        _explained("    cookies: {names: [session]}", "those of the website, for its own domain only"),
        "  habla:hosts:",
    ]
    fronts = 0
    for host in hosts:
        lines += _host(host, fronts=fronts)
        fronts += host.role == _FRONT
    sizes = {"/": "4G", "/var/log": "1G"} if has_lab else {"/": "20G", "/var/log": "4G"}
    lines += [
        "  # The file systems of every host. habla checks that its logs fit.",
        "  habla:partitions:",
        *(f"    {mount}: {{size: {size}}}" for mount, size in sizes.items()),
        "  # Who gets a mail before a partition fills, and the mail server that delivers it.",
        "  habla:alerts:",
        f"    to: [ops@{domain}]",
        f"    smtp: {{host: mail.{domain}}}",
    ]
    return "\n".join(lines) + "\n"


def _host(host: NewHost, *, fronts: int) -> list[str]:
    defaults = default_roles()[host.role].defaults
    lines = [f"    {host.name}:", _explained(f"      role: {host.role}", ", ".join(defaults) or "programs")]
    if host.role == _FRONT:
        outside = host.address or str(_LAB_OUTSIDE + fronts)
        lines.append(_explained(f"      outside_address: {outside}", "where clients reach HAProxy"))
        if fronts:
            lines.append(_explained("      services: [haproxy]", "MySQL, memcached and memqd run once"))
    if host.address:
        more = f", port: {host.port}" if host.port != 22 else ""
        more += f", user: {host.user}" if host.user != "root" else ""
        lines.append(f"      ssh: {{address: {host.address}{more}, host_key: {host.host_key}}}")
    return lines


def _explained(line: str, why: str) -> str:
    return f"{line:<38} # {why}"
