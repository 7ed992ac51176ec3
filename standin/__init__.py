"""A stand-in for Pulumi's Command plugin, for machines that cannot download the official one.

It serves `command:local:Command`, `command:local:run`, `command:remote:Command` and
`command:remote:CopyToRemote` as the official plugin 1.2.1 does; `tests/engine/test_command_provider.py` runs
against either. What it does not serve is refused with a clear error; docs/toolchain.md has the differences.
"""
