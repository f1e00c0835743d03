"""``darkroom guard``: parses, calls, prints.

With Click, which uvicorn needs anyway: a guard is installed without the libraries of audits.
"""

from __future__ import annotations

import json
from pathlib import Path

import click

from darkroom.commands.ending import INTERRUPTED, say
from darkroom.commands.guard_options import PREFIX, a_path, json_option, policy_option
from darkroom.commands.operating import OPERATING

host_option = click.option(
    "--host",
    envvar=f"{PREFIX}_HOST",
    default="127.0.0.1",
    show_default=True,
    help="Where to listen.",
)
port_option = click.option(
    "--port",
    type=click.IntRange(0, 65535),
    envvar=f"{PREFIX}_PORT",
    default=8000,
    show_default=True,
    help="There; 0 for any.",
)


def run(arguments: list[str]) -> int:
    """Runs one command.

    Args:
        arguments: What follows ``darkroom guard``.

    Returns:
        The exit status.

    Raises:
        DarkroomError: If it cannot be done.
    """
    try:
        status = guard.main(arguments, prog_name="darkroom guard", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return INTERRUPTED
    return int(status or 0)


@click.group(
    invoke_without_command=True,
    epilog="Example: darkroom guard --upstream http://127.0.0.1:8080 --policy guard.toml",
)
@policy_option
@click.option(
    "--upstream",
    envvar=f"{PREFIX}_UPSTREAM",
    help="The model's server, in place of the policy's.",
)
@host_option
@port_option
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    envvar=f"{PREFIX}_WORKERS",
    default=1,
    show_default=True,
    help="Processes that serve; they share budgets.",
)
@click.pass_context
def guard(
    context: click.Context, policy: Path, upstream: str | None, host: str, port: int, workers: int
) -> None:
    """Put budgets and output defences in front of a model's server.

    Without a command: serve as a reverse proxy until interrupted. Options are also read from the
    environment: DARKROOM_GUARD_POLICY, DARKROOM_GUARD_PORT and so on.
    """
    if context.invoked_subcommand is not None:
        return
    from darkroom.guard.server import run_proxy

    run_proxy(policy, upstream, host, port, workers=workers, say=say)


@guard.command(epilog="Example: darkroom guard authorize --policy guard.toml --port 9001")
@policy_option
@host_option
@port_option
def authorize(policy: Path, host: str, port: int) -> None:
    """Tell a gateway which requests may pass (Envoy's ext_authz over HTTP), and charge these."""
    from darkroom.guard.server import run_authorization

    run_authorization(policy, host, port, say=say)


@guard.command(epilog="Example: darkroom guard check guard.toml")
@click.argument("policy", type=a_path)
@click.option("--only-policy", is_flag=True, help="Look for nothing that the policy names.")
@click.pass_context
def check(context: click.Context, policy: Path, only_policy: bool) -> None:
    """Say whether a policy can be used, what it does, and what it needs that is not there."""
    from darkroom.guard.missing import missing_parts
    from darkroom.guard.policy import read_policy
    from darkroom.guard.wire.registry import make_wires

    read = read_policy(policy)
    wires = make_wires(read)
    click.echo(f"{policy}: good")
    click.echo(f"  clients   {', '.join(one.name for one in read.client)}")
    for one in read.budget:
        click.echo(f"  budget    {one.name}: {one.rule}")
    for served in read.model:
        click.echo(f"  model     {served.name}: {', '.join(served.paths)}")
    click.echo(f"  answers   {read.answers()}")
    click.echo(f"  formats   {', '.join(wire.name for wire in wires)}")
    for line in read.warnings():
        click.echo(f"  warning   {line}")
    missing = [] if only_policy else missing_parts(read)
    for line in missing:
        click.echo(f"  missing   {line}")
    if missing:
        context.exit(2)


@guard.command(epilog="Example: darkroom guard init --policy guard.toml")
@policy_option
@click.option(
    "--discard", is_flag=True, help="Throw away the ledger there is: all budgets are open again."
)
def init(policy: Path, discard: bool) -> None:
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
        click.echo(f"the ledger of {store.model} is there: {made.rows} rows; nothing was changed")
    else:
        gone = f"; {before.rows} rows of another were thrown away" if before is not None else ""
        click.echo(f"a new ledger of {store.model} begins with {made.rows} rows{gone}")


@guard.command(epilog="Example: darkroom guard key alice")
@click.argument("client")
@json_option
def key(client: str, as_json: bool) -> None:
    """Make an API key for CLIENT: the client gets the key, the policy its hash."""
    from darkroom.guard.api_keys import new_key

    made, digest = new_key()
    if as_json:
        click.echo(json.dumps({"client": client, "key": made, "hash": digest}))
        return
    click.echo(f"For {client}, shown this once:\n  {made}\nFor the policy:\n")
    click.echo(f'[[client]]\nname = "{client}"\nkey = "{digest}"')


@guard.command(epilog="Example: darkroom guard report --policy guard.toml --run runs/face-login")
@policy_option
@click.option("--run", "audited", type=a_path, help="An audit's folder, for its curve of success.")
@json_option
def report(policy: Path, audited: Path | None, as_json: bool) -> None:
    """Say who spent what, and how far that takes an attacker along a measured curve."""
    from darkroom.report.spending import spending_report

    made = spending_report(policy, audited)
    click.echo(json.dumps(made.record()) if as_json else made.text())


for one in OPERATING:
    guard.add_command(one)
