"""What services say of themselves, and what is derived from it."""

from __future__ import annotations

import io
import json
import tarfile
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from habla.cli import main
from habla.errors import SettingsError
from habla.model.site import Endpoint, Endpoints, FleetFacts, Site
from habla.onhost.document import HostState, secret, secret_names
from habla.onhost.programs.jabber_cluster import parse_nodes
from habla.onhost.reading import from_json
from habla.plan.archive_files import MAX_BYTES, pack
from habla.plan.component import plan_component
from habla.plan.stack_files import load_plan, read_held, write_held
from habla.services.app import App
from habla.services.app_spec import AppSpec, HealthSpec, RouteSpec
from habla.services.haproxy import Haproxy
from habla.services.haproxy.haproxy_spec import HaproxySpec
from habla.services.memcached import Memcached
from habla.services.mysql import Mysql, MysqlSpec

ROOT = Path(__file__).parents[2]
SITE = Site("stable1", IPv4Address("192.168.2.100"))
RPC = AppSpec(roles=("stable",), command=("/bin/rpc",), port=8001, health=HealthSpec(path="/ok"))


def test_every_service_binds_to_the_internal_address_only() -> None:
    """No config of the lab's fleet binds to all addresses."""
    for host in load_plan(ROOT, "lab").hosts.values():
        for state in host.states.values():
            for path, file in state.files.items():
                if not path.startswith("/usr/local/lib/"):
                    assert "0.0.0.0" not in file.text, path


def test_every_log_has_a_rule_by_size() -> None:
    """Rotation never waits for a day to pass."""
    plan = load_plan(ROOT, "lab")
    for host in plan.hosts.values():
        for state in host.states.values():
            for path, file in state.files.items():
                if path.startswith("/etc/logrotate.d/"):
                    assert file.text.count("{") == file.text.count("    size "), path
                    assert "daily" not in file.text and "weekly" not in file.text


def test_an_app_reaches_what_it_names() -> None:
    """References become the address and port of whoever offers it; nobody types an address twice."""
    database = Endpoint(
        Mysql(MysqlSpec(port=3307)).offers()[0], "front1", address=IPv4Address("192.168.2.10")
    )
    spec = RPC.model_copy(
        update={"environment": {"DB": "${mysql.address}:${mysql.port}", "ME": "${host.name}"}}
    )
    site = Site(SITE.host, SITE.address, fleet=FleetFacts(endpoints=Endpoints((database,))))
    text = App("rpc", spec).state(site).files["/etc/habla/apps/rpc.env"].text
    assert "DB=192.168.2.10:3307\n" in text
    assert "ME=stable1\n" in text


def test_an_environment_value_reaches_the_program_as_it_was_written() -> None:
    """What systemd would take for quotes, escapes or variables is escaped."""
    spec = RPC.model_copy(update={"environment": {"X": 'say "hi" \\ $HOME `x`'}})
    text = App("rpc", spec).state(SITE).files["/etc/habla/apps/rpc.env"].text
    assert 'X="say \\"hi\\" \\\\ \\$HOME \\`x\\`"\n' in text


def test_a_word_of_a_command_stays_one_word() -> None:
    """Blanks are quoted, and systemd's own specifiers are taken literally."""
    spec = RPC.model_copy(update={"command": ("/bin/rpc", "two words", "100%", "$HOME")})
    unit = App("rpc", spec).state(SITE).files["/etc/systemd/system/habla-rpc.service"].text
    assert 'ExecStart=/bin/rpc "two words" 100%% $$HOME\n' in unit


def test_the_longest_path_is_asked_first() -> None:
    """/rpc/admin goes to its own backend although /rpc would take it too."""
    apps = [
        App("rpc", RPC.model_copy(update={"routes": (RouteSpec(path="/rpc"),)})),
        App("admin", RPC.model_copy(update={"routes": (RouteSpec(path="/rpc/admin"),)})),
    ]
    ends = Endpoints.of(Endpoint(app.offers()[0], "stable1", address=SITE.address) for app in apps)
    outside = IPv4Address("203.0.113.10")
    fleet = FleetFacts(endpoints=ends)
    site = Site("front1", IPv4Address("192.168.2.10"), fleet=fleet, outside=outside)
    text = Haproxy(HaproxySpec(dialect="2.x")).state(site).files["/etc/haproxy/www.cfg"].text
    assert text.index("use_backend admin") < text.index("use_backend rpc")


def test_faults_of_all_services_of_a_host_come_together() -> None:
    """Two apps that name nobody are two faults of one error."""
    spec = RPC.model_copy(update={"environment": {"DB": "${nobody.address}"}, "port": None, "health": None})
    with pytest.raises(Exception, match="2 faults:"):
        plan_component("stable", SITE, services=[App("a", spec), App("b", spec)])


def test_the_agent_reads_what_the_library_writes() -> None:
    """Writer and reader of the host state, which share no code, agree on every document of the lab."""
    for host in load_plan(ROOT, "lab").hosts.values():
        for state in host.states.values():
            read = from_json(json.loads(state.canonical()))
            assert {path: file.text for path, file in read.files.items()} == {
                path: file.text for path, file in state.files.items()
            }
            assert {name: unit.restart_on for name, unit in read.units.items()} == {
                name: unit.restart_on for name, unit in state.units.items()
            }
            assert tuple(read.secrets) == state.secrets


def test_a_document_leaves_out_what_equals_its_default() -> None:
    """Documents, and so their diffs, are short."""
    assert HostState(host="h", component="c").document() == {"format": 1, "host": "h", "component": "c"}
    assert json.loads(plan_component("cachedb", SITE, services=[Memcached()]).state.canonical())["files"][
        "/etc/memcached.conf"
    ].keys() == {"text"}


def test_secrets_are_found_by_name_in_a_text() -> None:
    """Whatever form they are asked for in."""
    assert secret_names(f"a {secret('b/c')} {secret('a', 'sql')} {secret('a', 'env')}") == ("a", "b/c")


def test_an_archive_has_the_same_bytes_whenever_it_is_packed(tmp_path: Path) -> None:
    """Times and caches do not count; content and the executable bit do."""
    (tmp_path / "__pycache__").mkdir()
    program = tmp_path / "a.py"
    program.write_text("x")
    first = pack(tmp_path)
    (tmp_path / "__pycache__" / "a.pyc").write_text("y")
    program.touch()
    assert pack(tmp_path) == first
    program.chmod(0o755)
    assert pack(tmp_path) != first


def test_an_archive_that_is_too_large_says_what_to_do(tmp_path: Path) -> None:
    """It would be kept twice in the state: above the limit a URL is asked for."""
    (tmp_path / "big").write_bytes(b"\0" * (MAX_BYTES + 1))
    with pytest.raises(OSError, match="give a url"):
        pack(tmp_path)


def test_several_directories_become_one_archive(tmp_path: Path) -> None:
    """What programs share is packed with each of them; two files that want one place are refused."""
    for name in ("program", "common"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.py").write_text(name)
    with tarfile.open(fileobj=io.BytesIO(pack(tmp_path / "program", tmp_path / "common"))) as tar:
        assert tar.getnames() == ["common.py", "program.py"]
    (tmp_path / "common" / "program.py").write_text("another")
    with pytest.raises(OSError, match="want the same place"):
        pack(tmp_path / "program", tmp_path / "common")


def test_a_link_in_an_archive_is_refused(tmp_path: Path) -> None:
    """It could lead out of the archive."""
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="not a plain file"):
        pack(tmp_path)


def test_held_addresses_survive_being_written_and_read(tmp_path: Path) -> None:
    """The file is written once and is then left alone while nothing changes."""
    (tmp_path / "stacks").mkdir()
    held = {"b": IPv4Address("192.168.2.101"), "a": IPv4Address("192.168.2.100")}
    assert write_held(tmp_path, "t", addresses=held)
    assert read_held(tmp_path, "t") == held
    assert not write_held(tmp_path, "t", addresses=held)


def test_held_addresses_that_cannot_be_read_are_an_error(tmp_path: Path) -> None:
    """Guessing here would renumber hosts."""
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "addresses.t.yaml").write_text("a: 192.168.2.300\n")
    with pytest.raises(Exception, match="cannot be read"):
        read_held(tmp_path, "t")


def test_render_writes_each_file_at_its_own_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``--out DIR`` gives DIR/HOST/absolute/path, of one host when one is named."""
    assert main(["-C", str(ROOT), "render", "-s", "lab", "--host", "web1", "--out", str(tmp_path)]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["web1"]
    assert (tmp_path / "web1" / "etc" / "hosts").read_text().endswith("192.168.2.120\tweb1\n")
    assert "of 1 hosts" in capsys.readouterr().out


def test_render_refuses_a_host_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    """The hosts that are there are named."""
    assert main(["-C", str(ROOT), "render", "-s", "lab", "--host", "web9"]) == 2
    assert "front1, monitor1, stable1, stable2, web1" in capsys.readouterr().err


def test_addresses_shows_each_role_with_its_free_space(capsys: pytest.CaptureFixture[str]) -> None:
    """The plan of the lab."""
    assert main(["-C", str(ROOT), "addresses", "-s", "lab"]) == 0
    printed = capsys.readouterr().out
    assert "stable     192.168.2.100-192.168.2.119, 18 free\n  192.168.2.100   stable1\n" in printed


def test_the_cluster_tool_reads_erlang_terms() -> None:
    """Running nodes, and those that are known but do not run; names with dashes are quoted in Erlang."""
    text = (
        " {db_nodes,['ejabberd@stable-2',ejabberd@stable1,\n           ejabberd@stable3]},\n"
        " {running_db_nodes,[ejabberd@stable1]},\n"
    )
    assert parse_nodes(text) == ({"ejabberd@stable1"}, {"ejabberd@stable-2", "ejabberd@stable3"})


def test_a_settings_error_is_a_value_error() -> None:
    """Callers who do not know habla can catch it."""
    assert issubclass(SettingsError, ValueError)
