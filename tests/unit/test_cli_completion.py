"""Completion in real shells: ``habla completion SHELL`` prints a script that works there."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from habla_command import HABLA, environment, habla, project

pytestmark = pytest.mark.slow

# Completes the words of the line that it gets, as Tab does, and prints the answers.
_BASH = """\
eval "$(habla completion bash)"
read -ra COMP_WORDS <<< "$LINE"
[[ $LINE == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
COMP_LINE=$LINE
_habla_completion habla
printf '%s\\n' "${COMPREPLY[@]}"
"""
# zsh completes only in its line editor, so the functions that hand words to it are replaced.
_ZSH = """\
compdef() { :; }
compadd() { local name=${argv[-1]}; print -l -- ${(P)name}; }
_describe() { local -a items; items=("${(@P)3}"); print -l -- ${items%%:*}; }
eval "$(habla completion zsh)"
words=(${=LINE})
[[ $LINE == *" " ]] && words+=("")
CURRENT=${#words}
_habla_completion
"""
_FISH = """\
habla completion fish | source
complete --do-complete "$LINE" | string split --fields 1 \\t
"""
SHELLS = {
    "bash": ["bash", "-c", _BASH],
    "zsh": ["zsh", "-f", "-c", _ZSH],
    "fish": ["fish", "-N", "-c", _FISH],
}
LINES = {
    "habla ": {
        "init",
        "render",
        "addresses",
        "dns",
        "status",
        "logs",
        "drain",
        "undrain",
        "maintenance",
        "jabber",
        "lab",
        "completion",
    },
    "habla st": {"status"},
    "habla jabber ": {"admin", "force"},
    "habla maintenance ": {"on", "off"},
    "habla maintenance on -s production ": {"www"},
    "habla render -s ": {"lab", "production"},
    "habla render -s lab --host ": {"front1", "monitor1", "stable1", "stable2", "web1"},
    "habla render --stack=lab --role s": {"stable"},
    "habla drain -s production stable": {"stable1", "stable2"},
    "habla lab ssh -s lab w": {"web1"},
    "habla completion f": {"fish"},
    "habla dns --js": {"--json"},
}
each_shell = pytest.mark.parametrize("shell", SHELLS)


def completed(shell: str, line: str, *, cwd: Path, home: Path) -> list[str]:
    """The words that a shell offers at the end of a line."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed on this machine")
    path = f"{HABLA.parent}:{os.environ['PATH']}"
    done = subprocess.run(
        SHELLS[shell],
        cwd=cwd,
        env=environment(LINE=line, PATH=path, HOME=str(home), XDG_CONFIG_HOME=str(home)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize("line", LINES)
@each_shell
def test_a_shell_completes_commands_options_and_names(shell: str, line: str, tmp_path: Path) -> None:
    """Names of stacks, hosts and roles are those of the project."""
    root = project(tmp_path / "project", "lab", "production")
    assert set(completed(shell, line, cwd=root, home=tmp_path)) == LINES[line]


@pytest.mark.parametrize("line", ["habla render -s lab --host ", "habla drain ", "habla render --role "])
@each_shell
def test_completion_says_nothing_where_it_knows_nothing(shell: str, line: str, tmp_path: Path) -> None:
    """Outside of a project, without a stack, and with a stack file that cannot be read."""
    outside = tmp_path / "outside"
    outside.mkdir()
    assert completed(shell, line, cwd=outside, home=tmp_path) == []
    root = project(tmp_path / "project", "lab", "production")
    (root / "stacks" / "Pulumi.lab.yaml").write_text("config: [\n")
    assert completed(shell, line, cwd=root, home=tmp_path) == []


@each_shell
def test_the_script_is_the_whole_output(shell: str) -> None:
    """It can be evaluated as it is."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed on this machine")
    done = habla("completion", shell)
    assert done.returncode == 0 and done.stderr == ""
    checked = subprocess.run(
        [shell, "-n"], input=done.stdout, capture_output=True, text=True, check=False, timeout=60
    )
    assert checked.returncode == 0, checked.stderr
