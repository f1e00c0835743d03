"""The page of commands, their options, and the statuses that they end with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from darkroom.commands.app import app
from darkroom.commands.ending import STATUSES
from darkroom.commands.guard import guard
from tools.reference.markup import page, table
from tools.reference.values import NONE, code

WORDS = (
    "`darkroom COMMAND --help` says the same. `darkroom --install-completion` teaches your shell "
    "to complete commands and options."
)


def page_of_commands() -> str:
    """Returns the page."""
    statuses = table(("status", "meaning"), [(f"`{one}`", text) for one, text in STATUSES.items()])
    return page("Commands", WORDS, "## Exit status", statuses, *_every())


def _every() -> Iterator[str]:
    whole: Any = typer.main.get_command(app)
    for name, command in sorted(whole.commands.items()):
        yield from _of(f"darkroom {name}", guard if name == "guard" else command)


def _of(called: str, command: Any) -> Iterator[str]:
    inner = getattr(command, "commands", {})
    yield f"## `{called}`"
    yield " ".join((command.help or "").split())
    if command.epilog:
        yield f"{command.epilog.partition(': ')[0]}: `{command.epilog.partition(': ')[2]}`"
    shown = [one for one in command.params if not getattr(one, "hidden", False)]
    arguments = [one for one in shown if one.param_type_name == "argument"]
    options = [one for one in shown if one.param_type_name == "option" and one.name != "help"]
    if arguments:
        rows = [
            (f"`{_name(one)}`", getattr(one, "help", None) or "", _usual(one)) for one in arguments
        ]
        yield table(("argument", "meaning", "default"), rows)
    if options:
        rows = [
            (", ".join(f"`{word}`" for word in one.opts), one.help or "", _usual(one))
            for one in options
        ]
        yield table(("option", "meaning", "default"), rows)
    for name, each in sorted(inner.items()):
        yield from _of(f"{called} {name}", each)


def _name(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _usual(parameter: Any) -> str:
    """Says what a parameter is when it is left out, and which variable stands for it."""
    if parameter.required:
        return "required"
    value = parameter.default
    plain = isinstance(value, str | int | float) and not isinstance(value, bool)
    shown = (
        f"`{value}`"
        if plain
        else code(value.as_posix()).replace('"', "")
        if hasattr(value, "as_posix")
        else NONE
    )
    variable = getattr(parameter, "envvar", None)
    return f"{shown}, or `{variable}`" if variable else shown
