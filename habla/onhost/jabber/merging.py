"""Brings records that only a copy of this node's database has into the cluster, and overwrites nothing there.

A record is taken when the cluster has none of its key (a table of sets) or not this very record (a bag, such
as the offline messages and the archive). When both have a record of one key, that of the cluster stays.
A record that was deleted in the cluster while this node was apart comes back, because it looks like a
new one.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from .erlang import Erlang, ErlangFault, atom, evaluate, text_of
from .own_node import DATA, MERGE_MARK, OwnNode, mark_words, write_mark

# ejabberd writes records of these tables anew, so a difference in them is no reason to keep the copy.
_TRIFLES = ("caps_features", "last_activity", "oauth_token", "roster_version")
# The numbers of nodes are given anew on each side, so that items of two sides would be mixed up.
_NUMBERED = "pubsub_"
_HOURS = 6 * 3600.0


def due() -> list[Path]:
    """The copies that wait to be merged."""
    return [DATA / name for name in mark_words(MERGE_MARK) if (DATA / name).is_dir()]


def merge(erlang: Erlang, node: OwnNode) -> None:
    """Merge every copy that is due. A failure is printed, and the next run tries again."""
    for copy in due():
        try:
            _merge(erlang, node, copy=copy)
        except ErlangFault as fault:
            print(f"{copy.name} cannot be merged now: {fault}", flush=True)


def _merge(erlang: Erlang, node: OwnNode, *, copy: Path) -> None:
    exported = copy / "records"
    if not exported.exists():
        export(node, copy, to=exported)
    started = time.monotonic()
    report = erlang.ask(_IMPORT % (atom(node.name), text_of(exported), _names(), f'"{_NUMBERED}"'), _HOURS)
    added, kept = parse_report(report)
    # ejabberd remembers users that it did not find.
    erlang.ask(_FORGET % atom(node.name))
    words = ", ".join(f"{count} of {table}" for table, count in added.items()) or "none"
    print(f"{copy.name}: records that only this node had: {words} ({time.monotonic() - started:.1f} s)")
    if kept:
        words = ", ".join(f"{count} of {table}" for table, count in kept.items())
        print(f"{copy.name}: records that differ, of which the cluster's stay: {words}; see {copy}")
        exported.unlink()
    else:
        shutil.rmtree(copy)
    write_mark(MERGE_MARK, [name for name in mark_words(MERGE_MARK) if name != copy.name])


def export(node: OwnNode, copy: Path, *, to: Path) -> None:
    """Write all records of a copy into a file, by a node that reaches no other one. Raises ErlangFault."""
    with_name = f"-sname {node.name} -start_epmd false -dist_listen false -erl_epmd_port 1"
    words = [*with_name.split(), "-kernel", "dist_auto_connect", "never", "-mnesia", "dir", text_of(copy)]
    evaluate(words, _EXPORT % text_of(to), seconds=_HOURS)


def parse_report(text: str) -> tuple[dict[str, int], dict[str, int]]:
    """Table -> records, of those that were added and of those that differ. Pure."""
    added, kept = {}, {}
    for line in text.split(";"):
        if line:
            table, new, different = line.split()
            if int(new):
                added[table] = int(new)
            if int(different):
                kept[table] = int(different)
    return dict(sorted(added.items())), dict(sorted(kept.items()))


def _names() -> str:
    return "[" + ", ".join(map(atom, _TRIFLES)) + "]"


_EXPORT = """
try
    ok = mnesia:start(),
    Tables = [Table || Table <- mnesia:system_info(local_tables), Table =/= schema,
              lists:member(mnesia:table_info(Table, storage_type), [disc_copies, disc_only_copies])],
    [yes = mnesia:force_load_table(Table) || Table <- Tables],
    New = %s,
    {ok, File} = file:open(New ++ ".new", [write, raw, binary, delayed_write]),
    Write = fun(Table) -> fun(Record, Count) ->
        Bytes = term_to_binary({Table, Record}),
        ok = file:write(File, [<<(byte_size(Bytes)):32>>, Bytes]),
        Count + 1
    end end,
    [mnesia:async_dirty(fun() -> mnesia:foldl(Write(Table), 0, Table) end) || Table <- Tables],
    ok = file:close(File),
    ok = file:rename(New ++ ".new", New),
    halt(0)
catch Class:Reason -> io:format("~0p~n", [{Class, Reason}]), halt(1) end.
"""

_IMPORT = """
Node = %s,
{ok, File} = file:open(%s, [read, raw, binary, {read_ahead, 1048576}]),
Trifles = %s,
Numbered = %s,
Call = fun(Module, Name, Arguments) ->
    case rpc:call(Node, Module, Name, Arguments, 60000) of
        {badrpc, Fault} -> throw({Name, hd(Arguments), Fault});
        Value -> Value
    end
end,
Local = Call(mnesia, system_info, [tables]),
Count = fun(Table, At, Counts) ->
    Old = maps:get(Table, Counts, {0, 0}),
    maps:put(Table, setelement(At, Old, element(At, Old) + 1), Counts)
end,
Take = fun({Table, Record}, Counts) ->
    case lists:member(Table, Local) of
        false -> Count(Table, 2, Counts);
        true ->
            Found = Call(mnesia, dirty_read, [Table, element(2, Record)]),
            Bag = Call(mnesia, table_info, [Table, type]) =:= bag,
            Same = lists:member(Record, Found),
            Trifle = lists:member(Table, Trifles),
            Apart = lists:prefix(Numbered, atom_to_list(Table)),
            if
                Same -> Counts;
                Apart -> Count(Table, 2, Counts);
                Bag; Found =:= [] -> ok = Call(mnesia, dirty_write, [Table, Record]), Count(Table, 1, Counts);
                Trifle -> Counts;
                true -> Count(Table, 2, Counts)
            end
    end
end,
Read = fun Next(Counts) ->
    case file:read(File, 4) of
        {ok, <<Size:32>>} -> {ok, Bytes} = file:read(File, Size), Next(Take(binary_to_term(Bytes), Counts));
        eof -> Counts
    end
end,
Counts = Read(#{}),
file:close(File),
[io_lib:format("~ts ~b ~b;", [Table, New, Kept]) || {Table, {New, Kept}} <- maps:to_list(Counts)].
"""

_FORGET = 'rpc:call(%s, ejabberd_admin, clear_cache, [], 60000), "".'
