"""Provides `.toolchain/bin/pulumi`: the CLI, the Python language host and the Command plugin.

It also puts the browser's libraries of requirements/npm.json into examples/apps/vendor.

Each program comes from the first source that has it: this machine, Pulumi's download site, then a build from
source for the CLI or the package `standin` for the plugin. The set-up uses the standard library only. See
docs/toolchain.md.
"""
