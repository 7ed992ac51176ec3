"""Limits of daemons and tools: the settings take what is at the limit, and refuse what is beyond it.

The sources of the limits are in docs/settings.md and beside the types.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from haproxy_check import words_of_check
from small_stack import changed, planned

from habla.errors import Faults


def _vrrp(router: int) -> dict[str, Any]:
    return {"address": "203.0.113.20/24", "interface": "eth0", "router": router}


def _alerts(name: str) -> dict[str, Any]:
    return {"to": [f"{name}@example.org"], "smtp": {"host": "mail.example.org"}}


_PARTS = ".".join(["a" * 59] * 3)
_MS, _TIMEOUTS = "2147483647ms", "load_balancer|www|timeouts"
# Limited value -> its path in the stack, a value at the limit, a value beyond it.
LIMITS: dict[str, tuple[str, Any, Any]] = {
    "a timeout": (f"{_TIMEOUTS}|client", _MS, "2147483648ms"),
    "a timeout in days": (f"{_TIMEOUTS}|server", "24d", "25d"),
    "the maintenance page": ("load_balancer|maintenance", "x" * 16_000, "x" * 16_001),
    "the maintenance page in bytes": ("load_balancer|maintenance", "ü" * 8_000, "ü" * 8_001),
    "connections": ("load_balancer|www|maxconn", 250_000, 250_001),
    "the number of VRRP": ("load_balancer|vrrp", _vrrp(255), _vrrp(256)),
    "the name of an app": ("apps|" + "a" * 26, "app", None),
    "the user of an app": ("apps|rpc|user", "a" * 32, "a" * 33),
    "a route": ("apps|rpc|routes", [{"path": "/" + "a" * 499}], [{"path": "/" + "a" * 500}]),
    "a health path": ("apps|rpc|health|path", "/" + "a" * 999, "/" + "a" * 1000),
    "memory": ("apps|rpc|limits|memory_mb", 16_777_216, 16_777_217),
    "tasks": ("apps|rpc|limits|tasks", 4_194_304, 4_194_305),
    "open files": ("apps|rpc|limits|open_files", 1_048_576, 1_048_577),
    "an environment variable's name": ("apps|rpc|environment", {"A" * 255: ""}, {"A" * 256: ""}),
    "the name of a host": ("hosts|" + "a" * 63, {"role": "web"}, None),
    "the domain": ("domain", f"{'a' * 50}.{'a' * 59}", f"{'a' * 50}.{'a' * 60}"),
    "a label of the domain": ("domain", "a" * 63 + ".org", "a" * 64 + ".org"),
    "a port": ("services|memcached|port", 65_535, 65_536),
    "the lowest port": ("services|memcached|port", 1, 0),
    "a job": ("services|memqd|max_job_bytes", 1_073_741_824, 1_073_741_825),
    "MySQL's connections": ("services|mysql|max_connections", 100_000, 100_001),
    "a database's name": ("services|mysql|database", "a" * 32, "a" * 33),
    "a domain of Jabber": (
        "services|jabber|domains",
        {f"{'a' * 50}.{'a' * 59}": {}},
        {f"{'a' * 50}.{'a' * 60}": {}},
    ),
    "expected sessions": ("services|jabber|expected_sessions", 25_000, 25_001),
    "the archive of Jabber": ("services|jabber|archive|size", "2047M", "2048M"),
    "a package of modules": ("services|jabber|packages", ["a" * 128], ["a" * 129]),
    "a network interface": ("network|interface", "a" * 15, "a" * 16),
    "a mount point": ("partitions|/" + "a" * 199, {"size": "1G"}, None),
    "a mail address": ("alerts", _alerts("a" * 64), _alerts("a" * 250)),
}
_OF_HAPROXY = [
    name for name, case in LIMITS.items() if case[0].startswith(("load_balancer", "apps", "domain"))
]
_APP = {"roles": ["web"], "command": ["/bin/a"]}


def _both(what: str) -> tuple[dict[str, Any], dict[str, Any]]:
    path, good, bad = LIMITS[what]
    good = _APP if good == "app" else good
    # Where the name itself is limited, one more character is too much.
    return changed({path: good}), changed({path + "a": good} if bad is None else {path: bad})


@pytest.mark.parametrize("what", LIMITS)
def test_a_value_at_the_limit_is_taken_and_one_beyond_is_refused(what: str) -> None:
    """A refusal comes before any host is touched, with the rule in words."""
    good, bad = _both(what)
    planned(good)
    with pytest.raises(Faults) as caught:
        planned(bad)
    for fault in caught.value.faults:
        assert fault.rule and fault.fix and not re.search(r"\^|\[a-z|pattern", fault.rule), fault


@pytest.mark.parametrize("what", _OF_HAPROXY)
def test_haproxy_takes_its_configs_at_the_limits(what: str, tmp_path: Path) -> None:
    """``haproxy -c`` reads what is rendered for a value at the limit, without a warning."""
    program = shutil.which("haproxy", path="/usr/sbin:/usr/bin")
    if program is None:
        pytest.skip("no haproxy here: make test installs it")
    files = {
        path: file.text
        for state in planned(_both(what)[0]).hosts["front1"].states.values()
        for path, file in state.files.items()
        if path.startswith("/etc/haproxy/")
    }
    for name in ("www", "jabber"):
        words = words_of_check([program], f"/etc/haproxy/{name}.cfg", files=files, directory=tmp_path)
        assert "failed" not in words and "WARNING" not in words.upper(), words
