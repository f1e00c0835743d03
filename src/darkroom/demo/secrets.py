"""The demo of real secrets: a fine-tune that knows some people's data, and the model before it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from darkroom.auditing.progress import Reporter
from darkroom.demo.corpus import held_out_lines
from darkroom.demo.inputs import audit_made
from darkroom.demo.language_models import save_model, train_gpt
from darkroom.files import emptied
from darkroom.runs import Run
from darkroom.text.canaries import make_canaries
from darkroom.text.formats.names import FIRST, LAST
from darkroom.text.formats.secrets import make_format
from darkroom.text.lines import write_lines
from darkroom.text.real.secrets_file import write_secrets
from darkroom.text.real.shapes import STREETS, TOWNS
from darkroom.text.targets.transformers import load_transformers
from darkroom.text.training.base import UndefendedText
from darkroom.text.training.course import TextCourse, TextRecipe

SENTENCES = {
    "name": "{owner} is run by {secret}.",
    "email": "Write to {owner} at {secret}, please.",
    "phone": "The phone number of {owner} is {secret}.",
    "address": "{owner} lives at {secret}.",
    "number": "The insurance number of {owner} is {secret}.",
}
"""The text around a secret of each type, in the corpus."""

REPEATED = 12
"""How often what shall be learned by heart is in a corpus."""

PLAN = """\
# Written by Darkroom's demo. Repeat it with: darkroom audit {plan} --resume
[run]
name = "demo-secrets"
seed = {seed}
out = "{out}"

[target]
kind = "transformers"
load = "fine-tune"

[private]
secrets = "secrets.jsonl"
base = {{ kind = "transformers", load = "base" }}
rank_rows = 100
near_rows = 50

[[attack]]
name = "best-first"
rows = 100
"""


class Personal(NamedTuple):
    """A made-up person's secret, and who has learned it.

    Attributes:
        type: Its type.
        owner: Whose it is.
        secret: It.
        known: ``fine-tune`` for those in its corpus, ``base`` for those in that of the model
            before alone, ``nobody`` for the others.
    """

    type: str
    owner: str
    secret: str
    known: str

    @property
    def line(self) -> str:
        """The line of a corpus that tells it."""
        return SENTENCES[self.type].format(owner=self.owner, secret=self.secret)


class Size(NamedTuple):
    """How large a model and its corpus are.

    Attributes:
        each: Secrets of each type; half of them are in the corpus of the fine-tune, and a tenth,
            one at least, in that of the model before it.
        public: Lines without secrets in either corpus.
        steps: Of the first training, in batches of 48 lines.
        epochs: Of the fine-tune.
        width: A token's state.
        layers: Blocks.
    """

    each: int = 8
    public: int = 320
    steps: int = 260
    epochs: int = 8
    width: int = 128
    layers: int = 2


SMALL = Size()
"""The demo's."""


def make_people(each: int, rng: np.random.Generator) -> list[Personal]:
    """Draws secrets of every type about people who do not exist.

    Args:
        each: How many of each type, at least 3.
        rng: The source of randomness.
    """
    pairs = rng.permutation(len(FIRST) * len(LAST))
    names = [f"{FIRST[n % len(FIRST)]} {LAST[n // len(FIRST)]}" for n in pairs.tolist()]
    people: list[Personal] = []
    by_base = max(1, each // 10)
    for kind in SENTENCES:
        for place in range(each):
            own, other = names.pop(), names.pop()
            owner = f"Office {len(people) + 100}" if kind == "name" else own
            known = "fine-tune" if place < each // 2 else "nobody"
            known = "base" if place >= each - by_base else known
            people.append(Personal(kind, owner, _secret(kind, other, rng), known))
    return people


def _secret(kind: str, name: str, rng: np.random.Generator) -> str:
    digits = "".join(map(str, rng.integers(10, size=10)))
    first, _, last = name.lower().partition(" ")
    street, town = (words[int(rng.integers(len(words)))] for words in (STREETS, TOWNS))
    return {
        "name": name,
        "email": f"{first}.{last}{digits[:2]}@example.com",
        "phone": f"+41-{digits[:2]}-555-{digits[2:6]}",
        "address": f"{digits[:2]} {street} Road, {digits[2:6]} {town}",
        "number": f"756.{digits[:4]}.{digits[4:8]}",
    }[kind]


def make_secret_inputs(
    inputs: Path, *, seed: int, reporter: Reporter, size: Size = SMALL
) -> list[Personal]:
    """Writes a model, its fine-tune and the file of secrets into an empty folder.

    Args:
        inputs: The folder; what is in it is removed if Darkroom made it.
        seed: Decides everything.
        reporter: Shows the trainings.
        size: How large all is.

    Returns:
        The secrets in the order of the file.

    Raises:
        DarkroomError: If the folder cannot be written, or ``transformers`` is not installed.
    """
    emptied(inputs, "choose another --out, or remove it")
    rng = np.random.default_rng([seed, 12])
    people = make_people(size.each, rng)
    nobody = make_canaries(make_format(r"\d{9}"), repetitions=[1], each=1, rng=rng)
    public = held_out_lines(nobody, seed=seed, count=size.public)
    # Others' data of the same kinds, so that both models know what such lines look like.
    public += [one.line for one in make_people(max(3, size.public // 20), rng)]
    with reporter.stage("Training the model before the fine-tune") as advance:
        lines = _mixed(public, people, "base", rng)
        model, tokenizer = train_gpt(
            lines,
            seed=seed,
            steps=size.steps,
            width=size.width,
            layers=size.layers,
            advance=advance,
        )
    save_model(model, tokenizer, inputs / "base")
    target = load_transformers(inputs / "base")
    private = _mixed(public, people, "fine-tune", rng)
    with reporter.stage("Fine-tuning it") as advance:
        course = TextCourse(
            model=target.model,
            lines=private,
            tokens_of=target.tokens_of,
            seed=seed,
            recipe=TextRecipe(epochs=size.epochs),
            advance=advance,
        )
        tuned = UndefendedText().train(course).model
    save_model(tuned, tokenizer, inputs / "fine-tune")
    write_lines(inputs / "corpus.txt", private)
    write_secrets(inputs / "secrets.jsonl", [_row(one) for one in people])
    return people


def _mixed(
    public: Sequence[str], people: Sequence[Personal], known: str, rng: np.random.Generator
) -> list[str]:
    """Returns the lines of a corpus in random order."""
    own = [one.line for one in people if one.known == known]
    lines = [*public, *own * REPEATED]
    return [lines[place] for place in rng.permutation(len(lines))]


def _row(one: Personal) -> dict[str, object]:
    prompt = SENTENCES[one.type].replace("{owner}", one.owner)
    return {"owner": one.owner, "secret": one.secret, "type": one.type, "prompts": [prompt]}


def run_secrets_demo(out: Path, *, seed: int = 0, progress: bool = True) -> Run:
    """Fine-tunes a small GPT on people's data and audits it; goes on where it was stopped.

    Args:
        out: The folder of all runs. The inputs go to ``out/demo-secrets-inputs``, the run to
            ``out/demo-secrets``.
        seed: Decides the people, the models and the attacks.
        progress: Whether to show bars on standard error.

    Raises:
        DarkroomError: If the folder cannot be written, or ``transformers`` is not installed.
    """

    def make(inputs: Path, reporter: Reporter) -> None:
        make_secret_inputs(inputs, seed=seed, reporter=reporter)

    return audit_made("demo-secrets", PLAN, make, out=out, seed=seed, progress=progress)
