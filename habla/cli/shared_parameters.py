"""Options whose values go to the Invocation, and parameters that a shell can complete."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from habla.cli.invocation import Invocation

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["KeptOption", "NamedArgument", "invocation_of"]

Names = Callable[[Invocation], Sequence[str]]
"""The names that a parameter may have as its value."""


def invocation_of(context: click.Context) -> Invocation:
    """The Invocation of the run that a context belongs to."""
    invocation = context.find_object(Invocation)
    assert invocation is not None
    return invocation


class KeptOption(click.Option):
    """An option whose value becomes the attribute of the Invocation that has the option's name.

    names: the values that a shell offers.
    """

    def __init__(self, *declarations: Any, names: Names | None = None, **attributes: Any) -> None:
        super().__init__(*declarations, expose_value=False, **attributes)
        self._names = names

    def process_value(self, ctx: click.Context, value: Any) -> Any:
        """Convert the value and keep it. The Invocation has the defaults."""
        converted = super().process_value(ctx, value)
        assert self.name is not None
        if not self.value_is_missing(converted):
            setattr(invocation_of(ctx), self.name, converted)
        return converted

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The values that begin with a text."""
        if self._names is None:
            return super().shell_complete(ctx, incomplete)
        return _completed(self._names, ctx, incomplete=incomplete)


class NamedArgument(click.Argument):
    """An argument that is one of several names. names: the values that a shell offers."""

    def __init__(self, *declarations: Any, names: Names, **attributes: Any) -> None:
        super().__init__(*declarations, **attributes)
        self._names = names

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The values that begin with a text."""
        return _completed(self._names, ctx, incomplete=incomplete)


def _completed(names: Names, ctx: click.Context, *, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    found = names(invocation_of(ctx))
    return [CompletionItem(name) for name in found if name.startswith(incomplete)]
