"""The URLs that a fleet hands out have the ports at which people reach it."""

from __future__ import annotations

from pathlib import Path

import yaml
from habla_command import project

from habla.plan import FleetPlan
from habla.plan.stack_files import load_plan


def plan_of(directory: Path, **lab: object) -> FleetPlan:
    """The plan of the lab's stack with these settings of the lab."""
    root = project(directory / "project", "lab")
    path = root / "stacks" / "Pulumi.lab.yaml"
    stack = yaml.safe_load(path.read_text("utf-8"))
    stack["config"]["habla:lab"] = lab
    path.write_text(yaml.safe_dump(stack), "utf-8")
    return load_plan(root, "lab")


def file_of(plan: FleetPlan, host: str, path: str) -> str:
    """The text of a file of a host."""
    return next(state.files[path].text for state in plan.hosts[host].states.values() if path in state.files)


def test_a_published_port_is_in_every_url(tmp_path: Path) -> None:
    """Those of the website, the images, Jabber, and the redirect from the bare domain."""
    plan = plan_of(tmp_path, ports={"www": 8080, "bosh": 8081})
    web = file_of(plan, "web1", "/etc/habla/apps/web.env")
    assert "WEBSITE_URL=http://www.hab.localhost:8080" in web.replace('"', "")
    assert "STATIC_URL=http://static.hab.localhost:8080" in web.replace('"', "")
    assert "JABBER_ORIGIN=http://www.hab.localhost:8081" in web.replace('"', "")
    assert "ws://www.hab.localhost:8081/websocket" in file_of(plan, "stable1", "/etc/habla/jabber-files.json")
    assert "redirect prefix http://www.hab.localhost:8080 " in file_of(plan, "front1", "/etc/haproxy/www.cfg")
    assert "http://www.hab.localhost:8080/upload" in file_of(plan, "stable1", "/etc/ejabberd/ejabberd.yml")


def test_without_published_ports_the_urls_have_those_of_haproxy(tmp_path: Path) -> None:
    """80 is not written, and Jabber's is its own."""
    plan = plan_of(tmp_path)
    web = file_of(plan, "web1", "/etc/habla/apps/web.env").replace('"', "")
    assert "WEBSITE_URL=http://www.hab.localhost\n" in web
    assert "JABBER_ORIGIN=http://www.hab.localhost:5280\n" in web
