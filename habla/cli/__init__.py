"""The ``habla`` command: shows a stack without Pulumi, and asks its hosts over SSH.

A new command is one module and one line in ``command_table.COMMANDS``. The module has one function::

    @command(examples=("habla count -s lab --role web",))
    @stack_option
    @host_filters
    @report_options
    def count(invocation: Invocation) -> Result:
        \"\"\"Count the services on each host.

        The docstring is the help text. Its first sentence is the summary in ``habla --help``.
        \"\"\"
        plan = invocation.plan()
        counts = {name: len(plan.hosts[name].services) for name in invocation.chosen(plan.settings)}
        table = Table(("host", "services"), [(name, str(count)) for name, count in counts.items()])
        return Result(counts, (table,))

A name of two words, such as ``lab summary``, belongs to a group. ``command_table.GROUPS`` has the help of
groups.

Four rules keep the commands alike:

- The function returns a ``Result`` and prints nothing. The decorator prints the result: its document with
  ``--json``, its text otherwise. It also turns the status of the result into the exit status.
- Options that several commands have are decorators of ``command_options``. The function reads them from the
  ``Invocation``.
- ``with invocation.waiting("asking 3 hosts"):`` surrounds everything that may take more than two seconds.
- A module of a command imports only click and other light modules when it is loaded, because help and
  completion load it. The planner, SSH and rich are imported by the functions that use them.

``docs/cli.md`` is made from the same functions; run ``python -m toolchain.cli_docs`` after a change.
"""

from habla.cli.command_line import main

__all__ = ["main"]
