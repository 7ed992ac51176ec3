"""Hosts of several releases of Debian in one lab."""

from __future__ import annotations

import pytest
from hosts import RELEASE, Lab

from habla.lab.apt import RELEASES, suite

pytestmark = pytest.mark.lab

CODENAME = ". /etc/os-release && echo $VERSION_CODENAME"
INSTALL = """\
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update && apt-get -qq install beanstalkd >/dev/null && systemctl is-active beanstalkd
"""
VERSION = "dpkg-query --show --showformat='${Version}' beanstalkd"


def offered(lab: Lab, release: str) -> str:
    """The version of beanstalkd in the pool of a release."""
    stanzas = (lab.paths.pool(release) / "Packages").read_text().split("\n\n")
    (stanza,) = (text for text in stanzas if text.startswith("Package: beanstalkd\n"))
    (version,) = (line for line in stanza.splitlines() if line.startswith("Version: "))
    return version.removeprefix("Version: ")


def test_hosts_of_all_releases_share_a_lab(fresh_lab: Lab) -> None:
    """Each host runs its own release, takes packages from the pool of that release, and keeps it."""
    fresh_lab.ask("lab-create", document={"packages": ["beanstalkd"], "releases": list(RELEASES)})
    fresh_lab.together(*({"name": f"{release}1", "release": release} for release in RELEASES))
    for release in RELEASES:
        assert fresh_lab.run(f"{release}1", CODENAME) == release
        assert fresh_lab.run(f"{release}1", INSTALL) == "active"
        assert fresh_lab.run(f"{release}1", VERSION) == offered(fresh_lab, release)
    assert len({offered(fresh_lab, release) for release in RELEASES}) == len(RELEASES)
    first, second = RELEASES
    done = fresh_lab.call("host-create", document={"name": f"{first}1", "release": second})
    assert done.returncode == 3
    assert f"it runs {first}, so it cannot have release {second}" in done.stderr
    # A host that is asked for again without a release stays as it is.
    assert fresh_lab.ask("host-create", document={"name": f"{second}1"}) == fresh_lab.hosts[f"{second}1"]
    assert fresh_lab.run(f"{second}1", CODENAME) == second


def test_a_lab_gets_another_release_with_the_first_host_of_it(fresh_lab: Lab) -> None:
    """The hosts that are there stay, and their packages too."""
    first, second = RELEASES
    fresh_lab.ask("lab-create", document={"packages": ["beanstalkd"], "releases": [first]})
    fresh_lab.host("old1", release=first)
    fresh_lab.host("new1", release=second)
    assert [fresh_lab.run(name, CODENAME) for name in ("old1", "new1")] == [first, second]
    assert fresh_lab.run("old1", INSTALL) == fresh_lab.run("new1", INSTALL) == "active"


def test_an_unknown_release_is_refused(fresh_lab: Lab) -> None:
    """The error names the releases that there are, and nothing is made."""
    done = fresh_lab.call("lab-create", document={"releases": ["sarge"]})
    assert done.returncode == 3
    assert "release 'sarge'" in done.stderr and ", ".join(RELEASES) in done.stderr
    assert not fresh_lab.directory.exists()


def test_the_labs_of_tests_have_the_release_that_is_asked_for(fresh_lab: Lab) -> None:
    """HABLA_LAB_RELEASE, or the machine's own release."""
    fresh_lab.create()
    fresh_lab.host("web1")
    assert fresh_lab.run("web1", CODENAME) == (RELEASE or suite())
