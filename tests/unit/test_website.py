"""The names of the website: what follows from the settings, and names in HAProxy's config."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from small_stack import changed, planned

from habla.model.text_types import RoutePath
from habla.services.haproxy.haproxy_spec import HaproxySpec
from habla.services.haproxy.topology import _host_acl, _path_acl
from habla.services.haproxy.website import website

_ROUTE: TypeAdapter[str] = TypeAdapter(RoutePath)


def _config(**changes: Any) -> str:
    paths = {f"load_balancer|{key}": value for key, value in changes.items()}
    return planned(changed(paths)).hosts["front1"].states["balancer"].files["/etc/haproxy/www.cfg"].text


@pytest.mark.parametrize(
    ("spec", "domain", "hosts", "redirects", "cookie", "stale"),
    [
        ({}, "hab.la", ["www.hab.la"], ["hab.la"], "www.hab.la", [".hab.la", ".www.hab.la"]),
        ({}, "x.org", ["www.x.org"], ["x.org"], "www.x.org", [".x.org", ".www.x.org"]),
        ({"hosts": ["hab.la"]}, "hab.la", ["hab.la"], [], "hab.la", [".hab.la"]),
        (
            {"hosts": ["chat.y.org"]},
            "x.org",
            ["chat.y.org"],
            ["x.org"],
            "chat.y.org",
            [".y.org", ".chat.y.org"],
        ),
        ({"redirects": []}, "x.org", ["www.x.org"], [], "www.x.org", [".x.org", ".www.x.org"]),
        ({"cookies": {"domain": "x.org"}}, "x.org", ["www.x.org"], ["x.org"], "x.org", [".x.org"]),
    ],
)
def test_names_that_are_left_out_follow_from_the_others(
    spec: dict[str, Any], domain: str, hosts: list[str], redirects: list[str], cookie: str, stale: list[str]
) -> None:
    """By the fleet's domain, and by the names that are given."""
    found = website(TypeAdapter(HaproxySpec).validate_json(json.dumps(spec)), domain)
    assert [*found.hosts] == hosts and [*found.redirects] == redirects
    assert found.cookie_domain == cookie and [*found.stale_domains] == stale


def test_the_cookies_of_another_domain_are_for_that_domain() -> None:
    """The settings name the domain once, and cookies, hosts and static images follow it."""
    state = planned(changed({"domain": "chat.example.org"})).hosts["front1"].states["balancer"]
    text = state.files["/etc/haproxy/www.cfg"].text
    assert "domain=www.chat.example.org" in text and "hab.la" not in text.replace("habla", "")
    assert "static.chat.example.org" in text


@pytest.mark.parametrize(("port", "wanted"), [(443, "https://www.hab.la"), (8443, "https://www.hab.la:8443")])
def test_a_redirect_to_https_keeps_the_port(port: int, wanted: str) -> None:
    """Only the port that browsers take by themselves is left out."""
    text = _config(www={"tls": {"certificate": "tls/www", "port": port}})
    assert f"redirect prefix {wanted} code 301" in text


def _taken(path: str) -> bool:
    try:
        return bool(_ROUTE.validate_python(path))
    except ValidationError:
        return False


_PATHS = st.text("ab_-~./", min_size=1, max_size=6).map(lambda text: f"/{text}").filter(_taken)


@given(st.lists(_PATHS, min_size=2, max_size=6, unique_by=lambda path: path.rstrip("/")))
def test_every_path_has_an_acl_of_its_own(paths: list[str]) -> None:
    """/api/v1 and /api_v1 are two paths, and HAProxy takes the name of each."""
    acls: dict[str, Any] = {}
    names = {_path_acl(path, acls) for path in paths}
    assert len(names) == len(paths) == len(acls)
    assert all(re.fullmatch(r"[A-Za-z0-9.:_-]+", name) for name in names)


def test_a_host_and_several_hosts_of_which_it_is_the_first_have_two_acls() -> None:
    """A route of the website's first host does not speak for the others."""
    acls: dict[str, Any] = {}
    _host_acl(("www.hab.la", "chat.hab.la"), acls)
    _host_acl(("www.hab.la",), acls)
    assert {name: acl[0].values for name, acl in acls.items()} == {
        "hosts_www.hab.la": ("www.hab.la", "chat.hab.la"),
        "host_www.hab.la": ("www.hab.la",),
    }
