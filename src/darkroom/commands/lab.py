"""``darkroom lab``: the local page where one watches a face emerge."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from darkroom.commands.audits import Out

lab = typer.Typer()


@lab.command(name="lab", epilog="Example: darkroom lab")
def command(
    plan: Annotated[
        Path | None,
        typer.Argument(help="The plan of an audit of images; the demo's when left out."),
    ] = None,
    out: Out = Path("runs"),
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Where to serve; 0 for any that is free."),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(
            help="Write the pages of all runs there instead, to be read without a server."
        ),
    ] = None,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Whether to open the page.")
    ] = True,
) -> None:
    """Open a local page where attacks are watched while they run, and turned with knobs."""
    if export is not None:
        _export(out, export)
        return
    from darkroom.lab.runs.folders import home_of
    from darkroom.lab.serving import serve
    from darkroom.lab.studio.loading import Studio
    from darkroom.lab.studio.small import found_or_made

    studio = Studio(lambda reporter: plan or found_or_made(home_of(out), reporter))
    serve(studio, out, port=port, browse=browser and sys.stdout.isatty(), say=typer.echo)


def _export(out: Path, folder: Path) -> None:
    from darkroom.lab.serving import export

    count = export(out, folder)
    typer.echo(f"{count} runs are in {folder / 'index.html'}")
    typer.echo("They show reconstructed and real faces: share them as you would share those.")
