"""HAProxy's releases: where the program of a version is, and how a host builds it from upstream's archive."""

from __future__ import annotations

from habla.errors import Fault, SettingsError
from habla.model.haproxy_specs import DISTRIBUTION, HaproxySpec, InstanceName

__all__ = ["binary"]

_DISTRIBUTIONS = "/usr/sbin/haproxy"


def binary(spec: HaproxySpec, instance: InstanceName) -> str:
    """The program that an instance runs. Raises SettingsError."""
    version = spec.version_of(instance)
    if version == DISTRIBUTION:
        return _DISTRIBUTIONS
    release = spec.releases.get(version)
    if release is None:
        fix = f"add {version}: {{url: …, sha256: …}}, or path: for an archive beside the stack"
        rule = "the distribution does not have it, so the settings say where it comes from"
        raise SettingsError([Fault("load_balancer.releases", "missing", version, rule, fix)])
    return release.binary or f"/opt/haproxy/{version}/haproxy"
