"""``darkroom employees`` and ``darkroom canaries``: data to audit with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from darkroom.auditing.plan import HIGHEST_SEED

data = typer.Typer()
canaries = typer.Typer(help="Secrets to hide in training data.", no_args_is_help=True)

secrets = typer.Typer(help="Real secrets of your own corpus.", no_args_is_help=True)

SecretFormat = Annotated[
    str,
    typer.Argument(
        metavar="FORMAT",
        help="A pattern, or ssn, card, email, passport, api-key, pin, phone, iban, uuid, date, "
        "name, address, words:FILE.",
    ),
]
Lines = Annotated[
    Path, typer.Argument(metavar="LINES", help="Training lines to write, .jsonl or .txt.")
]
KeyFile = Annotated[Path, typer.Option(help="The sealed key file that the audit reads.")]
Templates = Annotated[
    list[str] | None,
    typer.Option(help="A sentence with {name} and {secret}, or @FILE; repeatable."),
]
Formats = Annotated[
    list[str] | None,
    typer.Option(
        "--format",
        help="A further format; repeatable. As many templates as formats belong to one each.",
    ),
]
Repetitions = Annotated[
    str, typer.Option(help="How often canaries are written, one group for each number.")
]
Coins = Annotated[
    bool,
    typer.Option("--coins", help="Draw twice as many and write each by a coin: bounds epsilon."),
]
Chat = Annotated[
    bool,
    typer.Option("--chat", help="Conversations: templates of lines 'user: ...', 'assistant: ...'."),
]
Seed = Annotated[
    int, typer.Option(min=0, max=HIGHEST_SEED, help="The same seed gives the same results.")
]


@data.command(epilog="Example: darkroom employees faces --people 40 --photos 10")
def employees(
    folder: Annotated[Path, typer.Argument(help="Where to put one folder a person.")],
    people: Annotated[int, typer.Option(min=1, help="How many people.")] = 40,
    photos: Annotated[int, typer.Option(min=1, help="Photos of each.")] = 10,
    strangers: Annotated[
        bool, typer.Option("--strangers", help="People who are no employees.")
    ] = False,
    size: Annotated[int, typer.Option(min=16, help="Pixels a side.")] = 64,
    seed: Seed = 0,
) -> None:
    """Render photos of people who do not exist."""
    from darkroom.demo.images import render_folder

    render_folder(
        folder,
        people,
        photos,
        role="strangers" if strangers else "employees",
        size=size,
        seed=seed,
    )
    typer.echo(f"{people * photos} photos of {people} people are in {folder}")


@canaries.command(
    epilog=r"Example: darkroom canaries make '\d{3}-\d{2}-\d{4}' train.jsonl --each 20"
)
def make(
    secrets: SecretFormat,
    lines: Lines,
    key: KeyFile = Path("canaries.key.json"),
    formats: Formats = None,
    template: Templates = None,
    repetitions: Repetitions = "1,2,4,8,16,32",
    each: Annotated[int, typer.Option(min=1, help="Canaries in each group.")] = 10,
    controls: Annotated[
        int | None, typer.Option(min=1, help="Secrets to hold out; as many as are written.")
    ] = None,
    coins: Coins = False,
    chat: Chat = False,
    seed: Annotated[
        int | None, typer.Option(min=0, help="For tests: whoever knows it knows the secrets.")
    ] = None,
) -> None:
    """Draw secrets into sentences for training, and as many to hold out."""
    from darkroom.demo.text import write_canaries

    made = write_canaries(
        (secrets, *(formats or ())),
        lines,
        key,
        templates=template or None,
        repetitions=repetitions,
        each=each,
        controls=controls,
        coins=coins,
        chat=chat,
        seed=seed,
    )
    typer.echo(
        f"{len(made.inserted)} canaries are in {lines}, {len(made.controls)} are held out; "
        f"{key} is sealed (mode 0600)"
    )
    typer.echo(f"commitment {made.commitment()}")


@secrets.command(epilog="Example: darkroom secrets find corpus.jsonl --out secrets.jsonl")
def find(
    corpus: Annotated[Path, typer.Argument(help="Your corpus, .jsonl with a text, or .txt.")],
    out: Annotated[Path, typer.Option(help="The file that [private] secrets reads.")] = Path(
        "secrets.jsonl"
    ),
    types: Annotated[
        str, typer.Option(help="Which to look for.")
    ] = "name,email,phone,address,number",
    most: Annotated[int, typer.Option(min=1, help="Secrets of each type, at most.")] = 200,
) -> None:
    """Find secrets in a corpus by type, with the text around each, to audit a model with."""
    from darkroom.text.real.finding import write_found

    found = write_found(corpus, out, types.split(","), most)
    counts = ", ".join(f"{count} {kind}" for kind, count in found.counts.items())
    typer.echo(f"{counts} found by {found.by}; {out} is for you alone (mode 0600)")
    typer.echo("Look through it: keep what is secret, and mend owners that are wrong.")
