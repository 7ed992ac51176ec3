"""Applies a document as a transaction: stage, check, swap, start, act, prove; or puts the old state back.

The journal lists every change before the first one is made. The removal of the journal is the commit. A run
or a boot (``recover``) that finds a journal puts the old state back.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Tuple

from ..document import HostState, digest
from ..failure import Failure, readable
from ..reading import from_json
from . import archives, files, health, ownership, places, system, unit_output
from .checks import run_checks, run_conditions
from .diff import Changes, compare, inputs_digest, link_target
from .rollback import roll_back

Secrets = Mapping[str, str]
# Seconds after which a unit that nothing asks for its health is taken to have started.
_SETTLE = 0.3


class Transaction:
    """One apply of one document. It runs ``steps`` in order. Tests watch or break them in a subclass.

    owner: the resource of the stack that applies it; "" leaves the owner as it is. new: the engine has just
    made that resource.
    """

    def __init__(self, raw: Any, secrets: Secrets, *, owner: str = "", new: bool = False) -> None:
        self.raw = raw
        self.document: HostState = from_json(raw)
        self.secrets = secrets
        self.record: Dict[str, Any] = places.read_json(places.record_path(self.document.component)) or {}
        self.changes = Changes()
        self.seconds: Dict[str, float] = {}
        self.made: List[str] = []
        self.ran: List[str] = list(self.record.get("ran", ()))
        self.journal: Dict[str, Any] = {}
        # Unit -> from where on its output is of this run.
        self.marks: Dict[str, unit_output.Mark] = {}
        self.claim = ownership.claimed(self.record, owner, new=new)
        # Records of other components, without the paths that this one takes over.
        self.losers = ownership.taken_over(self.document)

    def steps(self) -> List[Tuple[str, Callable[[], None]]]:
        """name of a step -> its function."""
        return [
            ("begin", self.begin),
            ("packages", self.install),
            ("stage", self.stage),
            ("check", self.check),
            ("swap", self.swap),
            ("units", self.units),
            ("actions", self.act),
            ("health", self.prove),
            ("commit", self.commit),
        ]

    def run(self) -> Dict[str, Any]:
        """Run all steps and return a short report of the changes. Raises Failure with the old state back."""
        started = time.monotonic()
        self.changes = compare(self.document, self.record, secrets=self.secrets)
        known = {key: self.record[key] for key in ("owner", "replaced") if key in self.record}
        same = self.record.get("digest") == digest(self.raw) and known == self.claim
        if self.changes or not same or self.losers:
            for name, step in self.steps():
                begun = time.monotonic()
                try:
                    step()
                except Exception as error:
                    self.undo(files.as_failure(name, error))
                self.seconds[name] = round(time.monotonic() - begun, 3)
        self.tidy()
        return {
            "component": self.document.component,
            "changed": self.changes.report(),
            "seconds": {**self.seconds, "all": round(time.monotonic() - started, 3)},
        }

    def undo(self, failure: Failure) -> None:
        """Put everything back and raise ``failure``, with the errors of putting it back."""
        words = [readable(failure.reason)]
        try:
            roll_back()
            words.append("the earlier state is back" if self.journal.get("paths") else "nothing was changed")
        except (Failure, OSError) as error:
            words.append("the old state could not be put back: {}".format(error))
            words.append("the next run or boot tries again")
        raise Failure(failure.step, failure.subject, reason="\n".join(words)) from None

    def begin(self) -> None:
        """Check the conditions. Note which parts may be half done if this run ends early."""
        run_conditions(self.document.checks)
        places.make_state()
        record = str(places.record_path(self.document.component))
        # Units that ran before habla managed them go on when the component is deleted.
        new = sorted(set(self.document.units) - set(self.record.get("document", {}).get("units", ())))
        others = ownership.ran_for_others(self.document.component, new)
        running = {name for name, state in system.unit_states(new).items() if state.running}
        self.ran += [name for name in new if others.get(name, name in running)]
        self.journal = {
            "component": self.document.component,
            "staged": sorted({*self.document.files, *self.document.archives, record, *self._loser_paths()}),
            "archives": sorted(self.document.archives),
            "made": [],
            "paths": {},
            "units": {},
        }
        places.write_json(places.JOURNAL, self.journal)

    def install(self) -> None:
        """Install packages and make users, because files may belong to those users."""
        if self.changes.packages:
            system.install(self.changes.packages)
        for name in self.changes.users:
            user = self.document.users[name]
            groups = ["--groups", ",".join(user.groups)] if user.groups else []
            command = ["useradd", "--system", "--user-group", "--no-create-home", "--shell=/usr/sbin/nologin"]
            system.run("users", name, command=[*command, "--home-dir", user.home, *groups, name])
        if self.changes.packages:
            # The rest of the work depends on the units, files and users of the packages.
            before = self.changes.packages, self.changes.users
            self.changes = compare(self.document, self.record, secrets=self.secrets)
            self.changes.packages, self.changes.users = before

    def stage(self) -> None:
        """Write every new file beside its target. Data directories stay after a failure and do no harm."""
        self._make_parents([*self.changes.directories, *self.changes.archives, *self.changes.files])
        for path in self.changes.directories:
            wanted = self.document.directories[path]
            Path(path).mkdir(mode=0o700, exist_ok=True)
            files.own(path, wanted.mode, owner=wanted.owner, group=wanted.group)
        for path in self.changes.archives:
            archives.unpack(path, self.document.archives[path])
        for path in self.changes.files:
            wanted_file = self.document.files[path]
            places.write_plain(files.staged(path), wanted_file.content(self.secrets))
            files.own(
                str(files.staged(path)), wanted_file.mode, owner=wanted_file.owner, group=wanted_file.group
            )
        records = [self._write_record(), *self._write_losers()]
        files.settle([*(files.staged(path) for path in self.changes.files), *records])

    def check(self) -> None:
        """Run the checker of each daemon on the staged files."""
        run_checks(self.document.checks, self.changes.files)

    def swap(self) -> None:
        """Write the journal, keep the old files, and rename the new ones into place."""
        changes = self.changes
        paths = sorted({*changes.files, *changes.removed, *changes.archives})
        units = [*changes.retired, *changes.start, *changes.restart, *changes.reload]
        states = system.unit_states(sorted({*units, *changes.stop, *changes.enable, *changes.release}))
        files.clear(places.BACKUP)
        # The records go back with the files that they list.
        records = [str(places.record_path(self.document.component)), *self._loser_paths()]
        kept = places.backups([*paths, *records])
        for path, backup in kept.items():
            files.copy(Path(path), backup)
        owned = {*self.record.get("files", ()), *self.record.get("document", {}).get("archives", ())}
        # A file of another component is no original: that component has kept the original.
        taken = sorted(set(paths) - owned - set(ownership.owned_by_others(self.document.component)))
        for path in taken:
            files.keep_original(path)
        files.settle([*kept.values(), *map(places.original_of, taken)])
        self.journal["paths"] = {path: os.path.lexists(str(backup)) for path, backup in kept.items()}
        self.journal["units"] = {
            name: {
                "running": state.running,
                "enabled": state.enabled,
                "masked": state.masked,
                "restart": name in changes.restart,
            }
            for name, state in states.items()
        }
        places.write_json(places.JOURNAL, self.journal)
        retired = [unit for unit in changes.retired if system.unit_states([unit])[unit].exists]
        system.systemctl("units", "disable", units=retired)
        system.systemctl("units", "stop", units=retired)
        for path in changes.removed:
            files.put_original(path)
        for path in changes.archives:
            files.link(path, link_target(path, self.document.archives[path].sha256))
        for path in changes.files:
            files.staged(path).replace(path)
        files.settle([Path(path) for path in paths if not Path(path).is_dir()])

    def units(self) -> None:
        """Let systemd read its units again, then stop, reload, restart or start those that change."""
        changes = self.changes
        system.systemctl("units", "unmask", units=changes.release)
        for unit in changes.stop:
            if system.unit_states([unit])[unit].exists:
                system.systemctl("units", "stop", units=[unit])
            system.systemctl("units", "mask", units=[unit])
        if any(path.startswith("/etc/systemd/") for path in (*changes.files, *changes.removed)):
            system.systemctl("units", "daemon-reload", units=[])
        system.systemctl("units", "enable", units=changes.enable)
        begun = {*changes.reload, *changes.restart, *changes.start}
        asked = {check.unit for check in self.document.health.values() if check.unit}
        self.marks = unit_output.marks(sorted(asked - begun))
        self.marks.update(system.systemctl("units", "reload-or-restart", units=changes.reload))
        self.marks.update(system.systemctl("units", "restart", units=changes.restart))
        self.marks.update(system.systemctl("units", "start", units=changes.start))

    def act(self) -> None:
        """Run the commands that set up everything that is not a file. They may run any number of times."""
        for name in self.changes.actions:
            action = self.document.actions[name]
            stdin = Path(action.stdin).read_bytes() if action.stdin else None
            system.run_starting("actions", name, command=action.command, stdin=stdin, timeout=action.timeout)

    def prove(self) -> None:
        """Wait until every service answers, and check that the started units keep running."""
        health.wait_for_all(self.document.health, self.marks)
        begun = {*self.changes.start, *self.changes.restart}
        if begun - {check.unit for check in self.document.health.values()}:
            # Nothing asks these units whether they are well: one that dies does so soon.
            time.sleep(_SETTLE)
        for name, state in system.unit_states(sorted(begun)).items():
            if not state.running or state.starting_over:
                words = unit_output.last_words(name, self.marks.get(name))
                raise Failure("units", name, reason="the unit does not keep running\n" + words)

    def commit(self) -> None:
        """Replace the record. From now on, the new state is the host's state."""
        record = places.record_path(self.document.component)
        for path in (*self._loser_paths(), str(record)):
            files.staged(path).replace(path)
        places.sync_directory(record.parent)
        places.JOURNAL.unlink()
        places.sync_directory(places.STATE)

    def _write_record(self) -> Path:
        """Stage the new record of this component, so that a full disk is found before the end."""
        path = places.record_path(self.document.component)
        due = {
            name: inputs_digest(self.document, name, secrets=self.secrets) for name in self.changes.actions
        }
        done = {**self.record.get("actions", {}), **due}
        record = {
            "document": self.raw,
            "digest": digest(self.raw),
            "files": sorted(self.document.files),
            "ran": sorted(set(self.ran) & set(self.document.units)),
            "made": sorted({*self.record.get("made", ()), *self.made}),
            "actions": {name: value for name, value in done.items() if name in self.document.actions},
            **self.claim,
        }
        path.parent.mkdir(exist_ok=True)
        new = files.staged(str(path))
        places.write_plain(new, json.dumps(record, sort_keys=True).encode())
        return new

    def _loser_paths(self) -> List[str]:
        return [str(places.record_path(component)) for component in self.losers]

    def _write_losers(self) -> List[Path]:
        """Stage the records of other components, without the paths that this component takes over."""
        staged = []
        for component, record in self.losers.items():
            new = files.staged(str(places.record_path(component)))
            places.write_plain(new, json.dumps(record, sort_keys=True).encode())
            staged.append(new)
        return staged

    def tidy(self) -> None:
        """Remove the files that only a rollback needs. The next run does it if this one ends before."""
        files.clear(places.BACKUP)
        for path in self.changes.removed:
            files.drop_original(path)
        # Of links alone: PATH.d beside a file may be anybody's.
        for path in set(self.record.get("document", {}).get("archives", ())) - set(self.document.archives):
            archives.drop_others(path, "")
        for path, archive in self.document.archives.items():
            archives.drop_others(path, archive.sha256)

    def _make_parents(self, paths: List[str]) -> None:
        parents = {parent for path in paths for parent in Path(path).parents}
        missing = sorted(str(parent) for parent in parents if not parent.is_dir())
        if not missing:
            return
        self.made = self.journal["made"] = missing
        places.write_json(places.JOURNAL, self.journal)
        for parent in missing:
            # A directory of the document among them gets its own mode and owner in its turn.
            Path(parent).mkdir(mode=0o755, exist_ok=True)
