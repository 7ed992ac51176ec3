"""Provides `.toolchain/bin/pulumi`: the CLI, the Python language host and the Command plugin.

Each comes from the first of: this machine, Pulumi's download site, a build from source (CLI) or the
stand-in of `standin` (plugin). Standard library only; see docs/toolchain.md.
"""
