"""docs/settings.md says what the list of services says: roles, sections and their keys."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from habla.model.roles import Role
from habla.model.spec import Spec
from habla.services.app_spec import AppSpec
from habla.services.catalog import daemons, default_roles
from habla.services.jabber import JabberSpec
from habla.settings.sections import section_names, services_model

TEXT = (Path(__file__).parents[2] / "docs" / "settings.md").read_text("utf-8")


def rows(heading: str) -> dict[str, list[str]]:
    """First cell, without its backticks -> the other cells, of the table under a heading."""
    section = TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    table = re.findall(r"^\| `(\w+)` \| (.*) \|$", section, flags=re.M)
    return {name: cells.split(" | ") for name, cells in table}


def words(cell: str) -> list[str]:
    return re.findall(r"[a-z]+", cell)


@pytest.mark.parametrize("role", default_roles().values(), ids=lambda role: role.name)
def test_the_table_of_roles_names_the_services_of_each(role: Role) -> None:
    """What a role may run, and what its hosts run by default."""
    _, allowed, default = rows("Roles")[role.name]
    assert set(role.kinds) <= set(words(allowed))
    named = {"apps" if kind == "app" else kind for kind in role.defaults}
    assert default == "all of these" or named <= set(words(default))


def test_the_table_of_roles_has_all_of_them() -> None:
    """No more and no fewer."""
    assert set(rows("Roles")) == set(default_roles())


def test_every_section_is_in_the_first_table() -> None:
    """Those of services included."""
    first = re.findall(r"^\| `(\w+)` \|", TEXT.split("\n## ")[0], flags=re.M)
    assert set(first) == set(section_names())


def sections() -> dict[str, type[Spec]]:
    """Key of ``habla:services`` -> the class of its settings."""
    fields = services_model().model_fields
    return {name: field.annotation for name, field in fields.items() if field.annotation is not None}


@pytest.mark.parametrize("name", sections())
def test_the_row_of_a_service_names_its_keys(name: str) -> None:
    """Every key of its settings, in backticks."""
    keys = set(re.findall(r"`(\w+)`", " ".join(rows("Services")[name])))
    assert set(sections()[name].model_fields) <= keys


def test_the_table_of_services_has_all_of_them() -> None:
    """Each service with a section below ``services``, and snmpd."""
    wanted = {service.section.removeprefix("services.") for service in daemons().values()}
    assert set(rows("Services")) == (wanted - {"load_balancer"}) | {"snmp"}


def test_the_table_of_apps_has_all_keys() -> None:
    """One row a key."""
    assert set(rows("Apps")) == set(AppSpec.model_fields)


def keys_of(model: type[Spec]) -> set[str]:
    """The keys of a model, and of the models in it."""
    found = set(model.model_fields)
    for field in model.model_fields.values():
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, Spec):
                found |= keys_of(kind)
    return found


def test_the_page_of_jabber_names_every_key_at_any_depth() -> None:
    """Those of domains, rooms, files and limits included."""
    page = (Path(__file__).parents[2] / "docs" / "jabber.md").read_text("utf-8").replace("```", "\n")
    named = {word for text in re.findall(r"`([^`]+)`", page) for word in re.findall(r"[a-z_0-9]+", text)}
    assert keys_of(JabberSpec) - named == set()
