"""HAProxy: one typed model of a load balancer, lowered to the dialects 1.3.14 and 2.x."""

from habla.services.haproxy.haproxy import Haproxy
from habla.services.haproxy.haproxy_spec import (
    CookiesSpec,
    HaproxyInstanceSpec,
    HaproxySpec,
    ReleaseSpec,
    TimeoutsSpec,
    TlsSpec,
    VrrpSpec,
)

__all__ = [
    "CookiesSpec",
    "Haproxy",
    "HaproxyInstanceSpec",
    "HaproxySpec",
    "ReleaseSpec",
    "TimeoutsSpec",
    "TlsSpec",
    "VrrpSpec",
]
