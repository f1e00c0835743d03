"""``darkroom guard``: parses, calls, prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

guard = typer.Typer(
    help="Put budgets and output defences in front of a model's server.",
    invoke_without_command=True,
    rich_markup_mode=None,
    epilog="Example: darkroom guard --upstream http://127.0.0.1:8080 --policy guard.toml",
)

PolicyFile = Annotated[Path, typer.Option("--policy", help="The policy; see docs/start/guard.md.")]
DEFAULT = Path("guard.toml")


@guard.callback()
def serve(
    context: typer.Context,
    policy: PolicyFile = DEFAULT,
    upstream: Annotated[
        str | None, typer.Option(help="The model's server, in place of the policy's.")
    ] = None,
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="There; 0 for any.")] = 8000,
    workers: Annotated[
        int, typer.Option(min=1, max=256, help="Processes that serve; they share budgets.")
    ] = 1,
) -> None:
    """Serve as a reverse proxy until interrupted."""
    if context.invoked_subcommand is not None:
        return
    from darkroom.guard.server import run_proxy

    def say(line: str) -> None:
        typer.echo(line, err=True)

    run_proxy(policy, upstream, host, port, workers=workers, say=say)


@guard.command(epilog="Example: darkroom guard check guard.toml")
def check(
    policy: Annotated[Path, typer.Argument(help="The policy, in TOML; see docs/start/guard.md.")],
    only_policy: Annotated[
        bool, typer.Option("--only-policy", help="Look for nothing that the policy names.")
    ] = False,
) -> None:
    """Say whether a policy can be used, what it does, and what it needs that is not there."""
    from darkroom.guard.missing import missing_parts
    from darkroom.guard.policy import read_policy
    from darkroom.guard.wire.registry import make_wires

    read = read_policy(policy)
    wires = make_wires(read)
    typer.echo(f"{policy}: good")
    typer.echo(f"  clients   {', '.join(one.name for one in read.client)}")
    for one in read.budget:
        typer.echo(f"  budget    {one.name}: {one.rule}")
    typer.echo(f"  answers   {read.pipeline().name}")
    typer.echo(f"  formats   {', '.join(wire.name for wire in wires)}")
    for line in read.warnings():
        typer.echo(f"  warning   {line}")
    missing = [] if only_policy else missing_parts(read)
    for line in missing:
        typer.echo(f"  missing   {line}")
    if missing:
        raise typer.Exit(2)


@guard.command(epilog="Example: darkroom guard init --policy guard.toml")
def init(
    policy: PolicyFile = DEFAULT,
    discard: Annotated[
        bool, typer.Option(help="Throw away the ledger there is: all budgets are open again.")
    ] = False,
) -> None:
    """Begin the ledger of budgets, once, before the guard first runs."""
    from darkroom.guard.policy import read_policy
    from darkroom.guard.stores.registry import open_store

    store = open_store(read_policy(policy))
    try:
        store.connect()
        before = store.ledger()
        made = store.begin(discard=discard)
    finally:
        store.close()
    if before is not None and made.identity == before.identity:
        typer.echo(f"the ledger of {store.model} is there: {made.rows} rows; nothing was changed")
    else:
        gone = f"; {before.rows} rows of another were thrown away" if before is not None else ""
        typer.echo(f"a new ledger of {store.model} begins with {made.rows} rows{gone}")


@guard.command(epilog="Example: darkroom guard key alice")
def key(
    client: Annotated[str, typer.Argument(help="The client's name in the policy.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make an API key: the client gets the key, the policy its hash."""
    from darkroom.guard.api_keys import new_key

    made, digest = new_key()
    if as_json:
        typer.echo(json.dumps({"client": client, "key": made, "hash": digest}))
        return
    typer.echo(f"For {client}, shown this once:\n  {made}\nFor the policy:\n")
    typer.echo(f'[[client]]\nname = "{client}"\nkey = "{digest}"')


@guard.command(epilog="Example: darkroom guard report --policy guard.toml --run runs/face-login")
def report(
    policy: PolicyFile = DEFAULT,
    run: Annotated[
        Path | None, typer.Option(help="An audit's folder, for its curve of success.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Say who spent what, and how far that takes an attacker along a measured curve."""
    from darkroom.report.spending import spending_report

    made = spending_report(policy, run)
    typer.echo(json.dumps(made.record()) if as_json else made.text())
