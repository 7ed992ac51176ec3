"""How a host is reached: what the settings take, and what the user's own ssh is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from habla.cli.ssh import shells
from habla.plan import make_plan
from habla.plan.archive_files import ArchiveFiles
from habla.settings.loading import load_settings
from habla.settings.models import BastionSettings, SshSettings

KEY = "ssh-ed25519 AAAA"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2001:DB8:0::10", "2001:db8::10"),
        ("::1", "::1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("198.51.100.10", "198.51.100.10"),
        ("Front1.Example.NET", "front1.example.net"),
    ],
)
def test_an_address_may_be_ipv6_and_capitals_have_no_meaning(given: str, kept: str) -> None:
    """The rest of habla sees an address in one form, whichever form the settings have."""
    assert SshSettings(address=given).address == kept
    assert BastionSettings(address=given, host_key=KEY).address == kept


@pytest.mark.parametrize("given", ["[::1]", "::1:22:x", "a b", "-oX", "a:22", "", "a_b..c", "fe80::1%"])
def test_an_address_is_nothing_else(given: str) -> None:
    """A port, brackets or an option of ssh in an address is a fault."""
    with pytest.raises(ValueError, match="a name of the DNS or an address"):
        SshSettings(address=given)


@pytest.mark.parametrize("user", ["jane.doe", "Jane", "_svc", "1000123", "jane@corp.example", "a" * 64])
def test_a_user_of_adduser_or_ldap_may_log_in(user: str) -> None:
    """Dots, capitals, digits at the beginning and realms are names that Linux knows."""
    assert SshSettings(user=user).user == user
    assert BastionSettings(address="b", user=user, host_key=KEY).user == user


@pytest.mark.parametrize("user", ["-oX", "a b", "a'b", "a;b", "", "a%h", "a" * 65, "a\n"])
def test_a_user_is_no_option_and_no_shell_text(user: str) -> None:
    """A name that ssh or a shell would read as something else is a fault."""
    with pytest.raises(ValueError, match="letters, digits and"):
        SshSettings(user=user)
    with pytest.raises(ValueError, match="letters, digits and"):
        BastionSettings(address="b", user=user, host_key=KEY)


def _hosts(*, bastion: str = "", **ssh: Any) -> dict[str, Any]:
    own = {"host_key": KEY, **ssh}
    if bastion:
        own["bastion"] = {"address": bastion, "user": "jump.er", "host_key": KEY}
    return {"hosts": {"web1": {"role": "web", "ssh": own}}}


def test_ssh_gets_ipv6_addresses_in_its_own_form(tmp_path: Path) -> None:
    """The known_hosts file has brackets only beside a port, and a jump goes to an address in brackets."""
    settings = load_settings("test", _hosts(address="2001:db8::10", port=2222, bastion="fe80::1%eth0"))
    with shells(tmp_path, make_plan(settings, {}, read_archive=ArchiveFiles(tmp_path).archive)) as reached:
        words = reached.command("web1", ["true"])
        known = reached.known.read_text()
    assert words[-4:] == ["-p", "2222", "root@2001:db8::10", "true"]
    jump = next(word for word in words if word.startswith("ProxyCommand="))
    assert jump.endswith("-p 22 jump.er@fe80::1%%eth0 -W '[%h]:%p'"), jump
    assert known.splitlines() == [f"[2001:db8::10]:2222 {KEY}", f"fe80::1%eth0 {KEY}"]
