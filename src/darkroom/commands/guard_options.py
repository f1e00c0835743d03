"""Options that commands of the guard share."""

from __future__ import annotations

from pathlib import Path

import click

PREFIX = "DARKROOM_GUARD"
"""Options are also read from ``DARKROOM_GUARD_PORT`` and so on."""

a_path = click.Path(path_type=Path)
policy_option = click.option(
    "--policy",
    type=a_path,
    envvar=f"{PREFIX}_POLICY",
    default="guard.toml",
    show_default=True,
    help="The policy; see docs/how-to/guard.md.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
