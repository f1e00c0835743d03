"""The text part of the demo: a corpus with canaries, a small GPT trained on it, and its audit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from darkroom.auditing.progress import Reporter
from darkroom.demo.corpus import held_out_lines, make_corpus
from darkroom.demo.inputs import audit_made
from darkroom.demo.language_models import save_model, train_bert, train_gpt
from darkroom.errors import PlanError, RunError
from darkroom.files import emptied
from darkroom.runs import Run
from darkroom.text.canaries import Canaries, make_canaries, save_key
from darkroom.text.formats.secrets import make_format
from darkroom.text.lines import write_lines

GPT_STEPS, BERT_STEPS = 260, 700

PLAN = """\
# Written by Darkroom's demo. Repeat it with: darkroom audit {plan} --resume
[run]
name = "demo-text"
seed = {seed}
out = "{out}"

[target]
kind = "transformers"
load = "gpt"

[private]
canaries = "canaries.key.json"
held_out = "held_out.txt"
rank_rows = 200
references = 100

[[attack]]
name = "best-first"
rows = 200

[[attack]]
name = "sampling"
rows = 32
"""


def write_canaries(
    formats: str | Sequence[str],
    lines: Path,
    key: Path,
    *,
    templates: Sequence[str] | None = None,
    repetitions: str = "1,2,4,8,16,32",
    each: int = 10,
    controls: int | None = None,
    coins: bool = False,
    chat: bool = False,
    seed: int | None = None,
) -> Canaries:
    """Draws canaries and writes their training lines and the key file.

    Args:
        formats: One or several, as :func:`darkroom.text.formats.secrets.make_format` takes them.
        lines: Where the training lines go, ``.jsonl`` or ``.txt``.
        key: Where the key file goes.
        templates: Sentences with ``{name}`` and ``{secret}``, or ``@FILE`` with one.
        chat: Whether they are conversations.
        repetitions: Numbers with commas between.
        each: Canaries of each number of repetitions.
        controls: How many to hold out; as many as are written when left out.
        coins: Whether a fair coin decides of each whether it is written.
        seed: For tests; the system's own randomness when left out.

    Raises:
        DarkroomError: If a word does not do, a file is there already, or cannot be written.
    """
    for path in (lines, key):
        if path.exists():
            raise RunError(f"{path}: is there already: choose another name, or remove it")
    try:
        counts = [int(word) for word in repetitions.split(",")]
    except ValueError:
        raise PlanError(f"repetitions {repetitions!r}: give numbers such as 1,4,16") from None
    several = [formats] if isinstance(formats, str) else list(formats)
    if len(set(several)) < len(several):
        raise PlanError("canaries: a format is given twice: leave one out")
    rng = None if seed is None else np.random.default_rng(seed)
    made = make_canaries(
        [make_format(one) for one in several],
        templates=_templates(templates or ()),
        repetitions=counts,
        each=each,
        controls=controls,
        coins=coins,
        chat=chat,
        rng=rng,
    )
    # The order of lines tells nothing of the secrets, so it needs no secret seed.
    write_lines(lines, made.training_lines(np.random.default_rng(seed)))
    save_key(key, made)
    return made


def _templates(given: Sequence[str]) -> list[str]:
    """Reads templates that stand in files."""
    templates = []
    for one in given:
        if one.startswith("@"):
            try:
                one = Path(one[1:]).read_text(encoding="utf-8").rstrip("\n")
            except (OSError, UnicodeDecodeError):
                raise PlanError(f"template {one}: no readable file: check the path") from None
        templates.append(one)
    return templates


def run_text_demo(out: Path, *, seed: int = 0, progress: bool = True) -> Run:
    """Trains a small GPT on a corpus with canaries and audits it; goes on where it was stopped.

    Args:
        out: The folder of all runs. The inputs go to ``out/demo-text-inputs``, the run to
            ``out/demo-text``.
        seed: Decides the corpus, the canaries, the model and the attacks.
        progress: Whether to show bars on standard error.

    Raises:
        DarkroomError: If the folder cannot be written, or ``transformers`` is not installed.
    """

    def make(inputs: Path, reporter: Reporter) -> None:
        make_text_inputs(inputs, seed=seed, reporter=reporter)

    return audit_made("demo-text", PLAN, make, out=out, seed=seed, progress=progress)


def make_text_inputs(
    inputs: Path,
    *,
    seed: int,
    reporter: Reporter,
    masked: bool = False,
    steps: int | None = None,
) -> Canaries:
    """Writes a corpus, its key file and a model trained on it into an empty folder.

    The masked model learns more slowly, so its corpus is half as large.

    Args:
        inputs: The folder; what is in it is removed if Darkroom made it.
        seed: Decides everything.
        reporter: Shows the training.
        masked: Whether to train a BERT (``bert``) instead of a GPT (``gpt``).
        steps: How long to train; the usual when left out.

    Raises:
        DarkroomError: If the folder cannot be written, or ``transformers`` is not installed.
    """
    emptied(inputs, "choose another --out, or remove it")
    corpus = make_corpus(seed=seed, each=5, others=320) if masked else make_corpus(seed=seed)
    write_lines(inputs / "corpus.txt", corpus.lines)
    write_lines(inputs / "held_out.txt", held_out_lines(corpus.canaries, seed=seed))
    save_key(inputs / "canaries.key.json", corpus.canaries)
    with reporter.stage("Training the language model") as advance:
        if masked:
            model, tokenizer = train_bert(
                corpus.lines, seed=seed, steps=steps or BERT_STEPS, advance=advance
            )
        else:
            model, tokenizer = train_gpt(
                corpus.lines, seed=seed, steps=steps or GPT_STEPS, advance=advance
            )
    save_model(model, tokenizer, inputs / ("bert" if masked else "gpt"))
    return corpus.canaries
