"""The website of the lab in browsers without any setting, at the URL that `make up` prints."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from fleet import Fleet, deployed_fleet
from hosts import free_port
from person import Person

pytestmark = pytest.mark.lab

ACCOUNT, PASSWORD = "support", "chat-with-us"
# Where to put pictures for the documentation, if anywhere.
PICTURES = os.environ.get("HABLA_PICTURES", "")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """The stack of the lab as it is, at free ports."""
    ports = {"www": free_port(), "bosh": free_port()}
    with deployed_fleet(tmp_path_factory.mktemp("browser"), ports=ports) as fleet:
        yield fleet


@pytest.fixture(scope="module")
def site(shown: Fleet) -> str:
    """The URL of its website."""
    return f"http://www.hab.localhost:{shown.lab.hosts['front1']['forwards']['www']}"


@pytest.fixture
def person(site: str) -> Iterator[Person]:
    """A visitor. At the end every request has succeeded, and the console is empty."""
    with Person(site) as person:
        yield person
        assert person.failed_requests() == [] and person.complaints() == []


def test_two_people_chat_through_the_website(site: str, person: Person) -> None:
    """A visitor writes; an operator in another browser sees it, answers, and sees the end of the chat."""
    with ExitStack() as stack:
        operator = stack.enter_context(Person(site))
        operator.open("/operator")
        operator.type("[name=account]", ACCOUNT)
        operator.type("[name=password]", f"{PASSWORD}\n")
        operator.sees("#operator-state", f"You are on line as {ACCOUNT}@hab.localhost")
        operator.sees("#operator-online", f"{ACCOUNT} (available)")
        person.open("/")
        assert person.picture_width("header img") > 0 and person.picture_width(".hero img") > 0
        person.click("#chat-open")
        person.type("#chat-form textarea", "Hello, do you ship to Norway?\n")
        operator.click("#operator-waiting button")
        operator.sees("#operator-log", "Hello, do you ship to Norway?")
        operator.type("#operator-form textarea", "Yes, within three days.\n")
        person.sees("#chat-log", "Yes, within three days.")
        person.sees("#chat-status", f"{ACCOUNT} is here")
        if PICTURES:
            person.save(Path(PICTURES, "website.png"))
            operator.save(Path(PICTURES, "operators.png"))
        person.click("#chat-end")
        operator.sees("#operator-people", "The chat has ended.")
        operator.click("#operator-logout")
        operator.sees("#operator-login", "Log in with your Jabber account")
        assert operator.failed_requests() == [] and operator.complaints() == []


def test_a_wrong_password_is_said(site: str) -> None:
    """The operator stays at the form."""
    with Person(site) as operator:
        operator.open("/operator")
        operator.type("[name=account]", ACCOUNT)
        operator.type("[name=password]", "not-the-password\n")
        operator.sees("#operator-error", "The account or the password is wrong.")


def test_a_person_registers_and_writes_in_the_forum(person: Person) -> None:
    """The login's cookie comes back with the next requests."""
    person.open("/register")
    person.type("[name=name]", "kim")
    person.type("[name=password]", "a-long-password\n")
    person.sees(".who", "kim")
    person.type("[name=title]", "First")
    person.type("main [name=text]", "The first words.")
    person.click("form.box button")
    person.sees("article .text", "The first words.")
    person.open("/forum")
    person.sees("article", "First")


def test_the_status_page_asks_every_part(person: Person) -> None:
    """MySQL, memcached, memqd, Jabber and the images answer through the website's own address."""
    person.open("/system")
    for words in ("mysql", "memcached", "memqd", "websocket", "static.hab.localhost"):
        person.sees("#system", words)
    assert "down" not in person.text("#system")
    person.sees("#system-counts", "RPC runs on stable1 and stable2")


def test_the_summary_says_where_to_go_and_how_to_log_in(shown: Fleet, site: str) -> None:
    """The URLs, the operators' account with its password, and commands to try, within 100 columns."""
    done = shown.habla("lab summary")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    assert [line.split() for line in lines if line.startswith("website")] == [["website", f"{site}/"]]
    assert any(line.startswith("operators' console") and line.endswith(f"/ {PASSWORD}") for line in lines)
    assert [line.split()[3] for line in lines[1:5]] == ["running"] * 4
    assert any("habla status -s lab" in line for line in lines)


def test_a_command_runs_on_a_host_of_the_lab(shown: Fleet) -> None:
    """Its output and its exit status are those of the command."""
    done = shown.habla("lab ssh", "stable1", "hostname; exit 7")
    assert (done.returncode, done.stdout) == (7, "stable1\n")
