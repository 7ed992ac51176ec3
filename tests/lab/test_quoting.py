"""Any text that the settings take, and any secret, reaches its daemon as it was written.

The readers are the daemons' own: systemd, MariaDB, PHP, ejabberd, logrotate and snmpd.
"""

from __future__ import annotations

import json
import random
import shlex
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from agent import AgentHost, agent_hosts
from pydantic import TypeAdapter, ValidationError

from habla.hosts.rotation import rotation_rules
from habla.model.disk import LogsSpec
from habla.model.service import Log
from habla.model.site import FleetFacts, Site
from habla.model.text_types import Jid, Line, LogPath
from habla.onhost.document import File, HostState, secret
from habla.plan.component import plan_component
from habla.services.app import App
from habla.services.app_spec import AppSpec
from habla.services.cacti.texts import php_config
from habla.services.jabber import Jabber, JabberSpec
from habla.services.static import Static

pytestmark = pytest.mark.lab

_PACKAGES = (
    "mariadb-server",
    "mariadb-client",
    "ejabberd",
    "openssl",
    "php-cli",
    "snmp",
    "snmpd",
    "logrotate",
    "nginx-light",
)
_SITE = Site("front1", IPv4Address("127.0.0.1"), fleet=FleetFacts(hosts={"front1": IPv4Address("127.0.0.1")}))
_NASTY = [
    "",
    " ",
    " leading and trailing ",
    "it's",
    'say "hi"',
    "back\\slash",
    "trailing\\",
    "\\\\",
    "\\n\\t\\x41\\u0041\\101",
    "$HOME ${HOME} $$ $(id) `id`",
    "%h %i %% %n %",
    "@{secret:none}"[:2],
    "#comment",
    "; rm -rf /",
    "a=b",
    "-option",
    "@-:+!",
    "{braces} [brackets] <tags>",
    "* ? [a-z]",
    "ünïcödé ☃ \U0001f600",
    "a\u00a0b",
    "'\"\\$`%",
    "~user",
    "&& || | > <",
]


def _texts(rule: object, count: int, seed: int) -> list[str]:
    """Texts that a kind of setting takes: nasty ones, and random ones of the same characters."""
    chosen = random.Random(seed)
    alphabet = sorted({*"".join(_NASTY), *map(chr, range(33, 127))})
    found = [*_NASTY, *("".join(chosen.choices(alphabet, k=chosen.randint(1, 12))) for _ in range(count * 3))]
    adapter: TypeAdapter[str] = TypeAdapter(rule)
    taken = []
    for text in found:
        try:
            taken.append(adapter.validate_python(text))
        except ValidationError:
            continue
    assert len(taken) >= count, "too few texts to say anything"
    return taken


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentHost]:
    """A host with the daemons, none of them configured by habla."""
    with agent_hosts(tmp_path_factory.mktemp("quoting"), "front1", packages=_PACKAGES) as lab:
        found = AgentHost(lab, "front1")
        done = found.apply(HostState(host="front1", component="tools", packages=_PACKAGES))
        assert done.status == 0, done
        yield found


def test_a_program_gets_its_arguments_and_environment_as_they_were_written(host: AgentHost) -> None:
    """By systemd, and with secrets in the environment."""
    words, values = _texts(Line, 60, seed=1), _texts(Line, 60, seed=2)
    values = [value for value in values if "${" not in value]
    passwords = {f"p/{number}": value for number, value in enumerate(_texts(Line, 40, seed=3))}
    script = (
        "import json, os, sys, time; open('seen', 'w').write(json.dumps([sys.argv[1:], dict(os.environ)]));"
        " os.rename('seen', 'done'); time.sleep(1e6)"
    )
    spec = AppSpec(
        roles=("web",),
        command=("/usr/bin/python3", "-c", script, *(word.replace("{app}", "") for word in words)),
        environment={f"V{number}": value for number, value in enumerate(values)},
        secrets={f"P{name[2:]}": name for name in passwords},
    )
    done = host.agent("secrets", stdin=json.dumps({"format": 1, "secrets": passwords}))
    assert done.status == 0, done
    done = host.apply(plan_component("web", _SITE, services=[App("echo", spec)]).state)
    assert done.status == 0, done
    host.run("for i in $(seq 50); do test -e /var/lib/habla-echo/done && break; sleep 0.1; done")
    argv, environment = json.loads(host.run("cat /var/lib/habla-echo/done"))
    assert argv == [word.replace("{app}", "") for word in words]
    assert {name: environment.get(name) for name in spec.environment} == spec.environment
    assert {name: environment.get(f"P{name[2:]}") for name in passwords} == passwords


def test_sql_and_php_get_a_secret_as_it_is(host: AgentHost) -> None:
    """MariaDB's and PHP's own parsers give its bytes back."""
    values = dict(enumerate([*_texts(Line, 80, seed=4), "two\nlines", "tab\there"]))
    secrets = {f"s/{number}": value for number, value in values.items()}
    wanted = [value.encode().hex().upper() for value in values.values()]
    sql = "".join(f"SELECT HEX('{secret(name, 'sql')}');\n" for name in secrets)
    host.run("systemctl start mariadb")
    shown = host.run("mariadb --batch --skip-column-names", File(sql).content(secrets).decode())
    assert [line.strip() for line in shown.splitlines()] == [text for text in wanted if text]
    php = php_config("s/0").split("$database_password")[0]
    php += "".join(f"echo strtoupper(bin2hex('{secret(name, 'sql')}')), \"\\n\";\n" for name in secrets)
    shown = host.send("php", File(php).content(secrets).decode()).stdout
    assert shown.split("\n")[: len(wanted)] == wanted


def test_ejabberd_reads_the_addresses_of_admins_as_they_were_written(host: AgentHost) -> None:
    """By its own reader of YAML."""
    names = [f"{name}@hab.la" for name in _texts(Line, 150, seed=5)]
    admins = tuple(dict.fromkeys(name for name in names if _fits(Jid, name)))
    assert len(admins) > 30
    state = plan_component("stable", _SITE, services=[Jabber(JabberSpec(admins=admins))]).state
    host.run("cat >/root/e.yml", state.files["/etc/ejabberd/ejabberd.yml"].text)
    code = (
        "application:ensure_all_started(fast_yaml),"
        ' {ok, [Doc]} = fast_yaml:decode_from_file(<<"/root/e.yml">>),'
        ' Get = fun proplists:get_value/2, Admin = Get(<<"admin">>, Get(<<"acl">>, Doc)),'
        ' [io:format("~s~n", [binary:encode_hex(Name)]) || Name <- Get(<<"user">>, Admin)], halt().'
    )
    shown = host.run(f"erl -noinput -pa /usr/lib/*/ejabberd-*/ebin -eval {shlex.quote(code)}")
    assert shown.split() == [admin.encode().hex().upper() for admin in admins]


@pytest.mark.parametrize("length", [10, 40, 41, 240])
def test_nginx_takes_names_of_any_length(host: AgentHost, length: int) -> None:
    """Its own table of names has no room for long ones without this setting."""
    domain = ((("a" * 60 + ".") * 3) + "a" * 60)[:length].rstrip(".")
    site = replace(_SITE, fleet=FleetFacts(domain=domain))
    state = plan_component("stable", site, services=[Static()]).state
    host.run("cat >/root/nginx.conf", state.files["/etc/nginx/nginx.conf"].text)
    done = host.send("nginx -t -q -c /root/nginx.conf")
    assert done.status == 0, done


def test_logrotate_rotates_logs_whatever_their_names(host: AgentHost) -> None:
    """Each file, with blanks and signs in its name, and those that a glob finds."""
    names = [f"/srv/logs/{name}" for name in _texts(Line, 100, seed=6)]
    plain = [
        name for name in names if _fits(LogPath, name) and not set("*?[]/") & set(name[11:]) and name[11:]
    ]
    paths = list(dict.fromkeys([*(name for name in plain if name[11:]), "/srv/logs/of app/one.log"]))
    assert len(paths) > 30
    logs = [Log(path, rule="quoting") for path in paths if "of app" not in path]
    logs.append(Log("/srv/logs/of app/*.log", rule="quoting"))
    (rule,) = rotation_rules(logs, LogsSpec()).values()
    make = "import json, os, sys\nos.makedirs('/srv/logs/of app', exist_ok=True)\n"
    make += "for path in json.load(sys.stdin): open(path, 'w').write('x' * 2000000)\n"
    host.run(f"python3 -c {shlex.quote(make)}", json.dumps(paths))
    host.run("cat >/root/quoting.conf", rule.text)
    done = host.send("logrotate --state /root/quoting.state /root/quoting.conf")
    assert done.status == 0 and "error" not in done.stderr, done
    look = "import json, os, sys\nending = '.1.gz'\n"
    look += "left = [path for path in json.load(sys.stdin) if not os.path.exists(path + ending)]\n"
    look += "print(json.dumps(left))"
    assert json.loads(host.run(f"python3 -c {shlex.quote(look)}", json.dumps(paths))) == []


@pytest.mark.parametrize("community", ["public", "#a%b$c", "{x}[y]~|;&", "a" * 32])
def test_snmpd_takes_a_community_as_it_is(host: AgentHost, community: str) -> None:
    """Of version 2c it is the only lock, so another one is not answered."""
    line = f'rocommunity "{secret("c", "word")}" 127.0.0.1\nagentaddress udp:127.0.0.1:1161\n'
    host.run("cat >/root/snmpd.conf", File(line).content({"c": community}).decode())
    ask = "snmpget -v2c -r1 -t1 -c {} 127.0.0.1:1161 .1.3.6.1.2.1.1.3.0 &>/dev/null && echo yes || echo no"
    script = "snmpd -C -c /root/snmpd.conf -Lo -f >/dev/null 2>&1 & pid=$!; sleep 1; "
    script += "; ".join(ask.format(shlex.quote(name)) for name in (community, f"{community}x"))
    script += "; kill $pid; wait"
    assert host.run(f"bash -c {shlex.quote(script)}").split() == ["yes", "no"]


@pytest.mark.parametrize(
    ("form", "value", "rule"),
    [
        ("word", 'a "b', "ASCII without blanks, quotes and backslashes"),
        ("word", "a\\b", "ASCII without blanks, quotes and backslashes"),
        ("ascii", "ü", "printable ASCII"),
        ("ascii", "", "of 1 to 255 characters"),
        ("ascii", "two\nlines", "printable ASCII"),
        ("env", "two\nlines", "must be one line"),
    ],
)
def test_a_secret_that_its_place_cannot_hold_is_refused(
    host: AgentHost, form: str, value: str, rule: str
) -> None:
    """The failure names the secret and the rule, never the value, and nothing is changed."""
    assert host.agent("secrets", stdin=json.dumps({"format": 1, "secrets": {"x/y": value}})).status == 0
    state = HostState(host="front1", component="forms", files={"/etc/forms": File(secret("x/y", form))})
    done = host.apply(state)
    assert done.status == 1 and "x/y" in done.stderr and rule in done.stderr, done
    assert not value or value not in done.stderr
    assert host.send("test -e /etc/forms").status == 1


def _fits(rule: object, text: str) -> bool:
    try:
        TypeAdapter(rule).validate_python(text)
    except ValidationError:
        return False
    return True
