"""The agent's reading of a document, its escapes, and what it lets out: no host needed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from habla.onhost import failure
from habla.onhost.document import (
    Action,
    Archive,
    Check,
    Directory,
    File,
    Health,
    HostState,
    Unit,
    User,
    canonical,
    digest,
    escaped,
    secret,
    secret_names,
)
from habla.onhost.failure import Failure, hide, readable
from habla.onhost.made_secrets import made_secret, made_value
from habla.onhost.reading import from_json

_STATE = HostState(
    host="front1",
    component="www",
    packages=("haproxy",),
    users={"app": User("/srv/app", ("adm",))},
    directories={"/var/lib/app": Directory("0750", "app", "app")},
    files={"/etc/app.conf": File(f"é {secret('a/b', 'sql')} {secret('c')}\n", "0640", "root", "app")},
    archives={"/srv/app": Archive("0" * 64)},
    stopped=("haproxy.service",),
    units={"app.service": Unit(("/etc/app.conf",), ("/srv/app",))},
    checks={"app": Check(("check", "{/etc/app.conf}"), ("/etc/app.conf",))},
    actions={"load": Action(("load",), ("/etc/app.conf",), "/etc/app.conf", 9)},
    health={"app": Health("app.service", "127.0.0.1", 80, "/health", "www.hab.la", 204, ("true",), 9)},
)


@pytest.fixture(autouse=True)
def nothing_hidden() -> Iterator[None]:
    """Values that one test hides are not hidden in the next."""
    yield
    failure._hidden.clear()


def test_the_agent_reads_the_state_that_the_library_wrote() -> None:
    """Every field of a state arrives, and both sides compute the same bytes and digest."""
    raw = json.loads(_STATE.canonical())
    document = from_json(raw)
    assert document == _STATE
    assert (canonical(raw), digest(raw)) == (_STATE.canonical(), _STATE.digest())
    assert document.secrets == ("a/b", "c")


_BASE: dict[str, Any] = {"format": 1, "host": "h", "component": "www"}


@pytest.mark.parametrize(
    ("changes", "subject", "words"),
    [
        ({"format": 2}, "the document", "this agent reads documents of format 1, not 2"),
        ({"colour": "red"}, "the document", "unknown keys: colour"),
        ({"component": "../www"}, "../www", "a component's name is a letter, then"),
        ({"component": "WWW"}, "WWW", "a component's name is a letter, then"),
        ({"component": ""}, "", "a component's name is a letter, then"),
        ({"component": None}, "the document", "component must be a string, not NoneType"),
        ({"packages": "haproxy"}, "the document", "packages must be a list of strings, not str"),
        ({"packages": [1]}, "the document", "packages must be a list of strings"),
        ({"files": ["/etc/x"]}, "files", "this must be a mapping, not list"),
        ({"files": {"/etc/x": "text"}}, "files./etc/x", "this must be a mapping, not str"),
        ({"files": {"/etc/x": {}}}, "files./etc/x", "missing"),
        ({"files": {"/etc/x": {"text": 1}}}, "files./etc/x", "text must be a string, not int"),
        ({"files": {"/etc/x": {"text": "", "mood": "1"}}}, "files./etc/x", "unknown keys: mood"),
        ({"files": {"/etc/x": {"text": "", "mode": "rw"}}}, "/etc/x", "the mode must be octal, not rw"),
        ({"files": {"/etc/x": {"text": "", "mode": "0888"}}}, "/etc/x", "the mode must be octal"),
        ({"files": {"etc/x": {"text": ""}}}, "etc/x", "the path must be absolute, without"),
        ({"files": {"/etc/../x": {"text": ""}}}, "/etc/../x", "the path must be absolute, without"),
        ({"files": {"/etc/x/": {"text": ""}}}, "/etc/x/", "the path must be absolute, without"),
        ({"files": {"/etc//x": {"text": ""}}}, "/etc//x", "the path must be absolute, without"),
        ({"files": {"/etc/./x": {"text": ""}}}, "/etc/./x", "the path must be absolute, without"),
        ({"files": {"//etc/x": {"text": ""}}}, "//etc/x", "the path must be absolute, without"),
        ({"files": {"/etc/x": {"text": "@{secret:a|html}"}}}, "a", "no form html"),
        ({"directories": {"/": {}}}, "/", "the path must be absolute, without"),
        ({"archives": {"/srv/x": {"sha256": "../x"}}}, "/srv/x", "the sha256 must be 64 hexadecimal digits"),
        ({"actions": {"a": {"command": ["x"], "timeout": "9"}}}, "actions.a", "timeout must be a number"),
        ({"health": {"a": {"port": True}}}, "health.a", "port must be a number, not bool"),
    ],
)
def test_document_that_is_not_well_formed_is_refused(
    changes: dict[str, Any], subject: str, words: str
) -> None:
    """Each fault is a Failure of the step ``read`` that names the part and what is wrong with it."""
    from_json(_BASE)
    with pytest.raises(Failure) as caught:
        from_json({**_BASE, **changes})
    assert (caught.value.step, caught.value.subject) == ("read", subject)
    assert words in caught.value.reason


@pytest.mark.parametrize("raw", [None, [], "text", 1])
def test_document_that_is_no_mapping_is_refused(raw: Any) -> None:
    """Other JSON than a mapping is named by its type."""
    with pytest.raises(Failure, match=type(raw).__name__):
        from_json(raw)


@pytest.mark.parametrize(
    ("form", "value", "written"),
    [
        ("", "a'b\"c\\d$e`f", "a'b\"c\\d$e`f"),
        ("sql", "a'b\\c", "a\\'b\\\\c"),
        ("sql", '"$`', '"$`'),
        ("env", 'a"b\\c$d`e', 'a\\"b\\\\c\\$d\\`e'),
        ("env", "it's", "it's"),
        ("json", 'a"b\\c\nd', 'a\\"b\\\\c\\nd'),
        ("", "@{secret:other}", "@{secret:other}"),
    ],
)
def test_secret_is_escaped_where_it_stands(form: Any, value: str, written: str) -> None:
    """A value is escaped for its place, once, and what looks like a placeholder in it stays text."""
    raw = {**_BASE, "files": {"/etc/x": {"text": f"<{secret('name', form)}>"}}}
    file = from_json(raw).files["/etc/x"]
    assert file.content({"name": value}) == f"<{written}>".encode()
    assert written in escaped({"name": value})
    with pytest.raises(Failure, match="has not been delivered to this host"):
        file.content({"another": value})


def test_only_well_formed_placeholders_are_secrets() -> None:
    """A name in capitals, or braces without the sign in front, ask for nothing."""
    text = "@{secret:a} @{secret:b/c|env} @{secret:Z} @{secret:a|sql} @secret:x {secret:y}"
    raw = {**_BASE, "files": {"/etc/x": {"text": text}}}
    assert from_json(raw).secrets == secret_names(text) == ("a", "b/c")


def test_a_placeholder_of_no_known_form_cannot_be_written() -> None:
    """The library refuses the form that the agent would refuse later."""
    with pytest.raises(ValueError, match="no form html"):
        secret("a", "html")


@pytest.mark.parametrize(
    ("hidden", "text", "shown"),
    [
        (["hunter22"], "the hunter22 is", "the [secret] is"),
        (["abcd", "abcdefgh"], "abcdefgh abcd", "[secret] [secret]"),
        (["first\nsecond"], "xsecondx\nfirst", "x[secret]x\n[secret]"),
        (["abc"], "abc is too short to hide", "abc is too short to hide"),
        ([""], "nothing", "nothing"),
        (["s3cret!"], "x" * 496 + "s3cret!", "x" * 496 + "[sec"),
        ([], "a\n\n  \nb  ", "a\nb"),
        ([], "\x1b[31mred\x1b[0m\ta\x00b\x07 \x1b]0;title\x07é\x1b(B\r\nnext", "red a?b? é\nnext"),
        (["s3cret!"], "s3\x1b[1mcret\x1b[0m!", "[secret]"),
        (["s3c\x07ret!"], "s3c\x07ret!", "[secret]"),
    ],
)
def test_hidden_values_are_taken_out(hidden: list[str], text: str, shown: str) -> None:
    """Longer values first, each line of one, before anything is cut, and no empty lines."""
    hide(hidden)
    assert readable(text) == shown


def test_output_is_bounded() -> None:
    """The last 20 lines, of at most 500 characters each: a long line stalls some readers of a command."""
    lines = readable("\n".join(f"{number} {'x' * 100}" for number in range(100))).splitlines()
    assert [line.split()[0] for line in lines] == [str(number) for number in range(80, 100)]
    for letter, count in (("x", 7), ("é", 4), ("😀", 2)):
        lines = readable("\n".join(f"{number} {letter * 100_000}" for number in range(100))).splitlines()
        assert [len(line) for line in lines] == [500] * count
        assert lines[-1].startswith("99 ")
        assert len("\n".join(lines).encode()) <= 4000


def test_a_secret_that_follows_from_another_is_made_on_the_host_that_has_that() -> None:
    """A host without it gets the value itself; with neither, the secret has not been delivered."""
    name = made_secret("api-rpc", base="jabber/cookie")
    file = File(f"TOKEN={secret(name)}")
    value = made_value(name, "cookie")
    assert file.content({"jabber/cookie": "cookie"}) == f"TOKEN={value}".encode()
    assert file.content({name: "given"}) == b"TOKEN=given"
    with pytest.raises(Failure, match="has not been delivered"):
        file.content({"other": "x"})
    assert value not in readable(f"a program says {value}")
