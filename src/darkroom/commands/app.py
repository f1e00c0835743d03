"""The command line of audits: its groups and its version."""

from __future__ import annotations

from importlib import metadata
from typing import Annotated

import typer

from darkroom.commands.audits import audits
from darkroom.commands.data import canaries, data, secrets
from darkroom.commands.doctor import doctor
from darkroom.commands.history import history
from darkroom.commands.lab import lab

EXAMPLES = """\b
Examples:
  darkroom demo                            the whole job on rendered faces
  darkroom lab                             watch a face emerge, on a local page
  darkroom audit plan.toml                 attack, judge and report
  darkroom audit plan.toml --resume        go on after an interruption
  darkroom audit plan.toml --fail-on-leak  exit 1 for a leak, 3 where none can be told
  darkroom audit plan.toml --workers 8     the same by eight processes
  darkroom work runs/face-login            join a run from another shell or machine
  darkroom check plan.toml                 is the subject what the plan says?
  darkroom report runs/face-login          write a run's report anew
  darkroom runs                            what ran, what is running and how far
  darkroom compare runs/old runs/new       the same model before and after
  darkroom budget runs/face-login          how long ten queries a day hold it off
  darkroom recommend runs/face-login       the best of the defences that a run measured
  darkroom employees faces --people 40     render a data set of faces
  darkroom canaries make ssn train.jsonl   secrets to hide in a language model's training data
  darkroom secrets find corpus.jsonl       real secrets of a corpus, to audit a model with
  darkroom guard --policy guard.toml       budgets and output defences in front of a server
  darkroom doctor                          what is installed, and what is missing for what
"""

app = typer.Typer(
    name="darkroom",
    help="Audit your own models for model inversion: what would an attacker reconstruct?",
    epilog=EXAMPLES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(audits)
app.add_typer(history)
app.add_typer(data)
app.add_typer(doctor)
app.add_typer(lab)
app.add_typer(canaries, name="canaries")
app.add_typer(secrets, name="secrets")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"darkroom {metadata.version('darkroom')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command(
    name="guard",
    help="Put budgets and output defences in front of a model's server.",
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def _guard(context: typer.Context) -> None:
    from darkroom.commands.guard import run

    raise typer.Exit(run(context.args))
