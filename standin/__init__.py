"""A stand-in for Pulumi's Command plugin, for machines that cannot download the official one.

It serves `command:local:Command`, `command:local:run`, `command:remote:Command` and
`command:remote:CopyToRemote` like the official plugin 1.2.1, and refuses everything else with a clear error.
`standin/README.md` describes it and lists the differences.
"""
