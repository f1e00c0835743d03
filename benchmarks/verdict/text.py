"""Language models that know some canaries by heart, and others that never met them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.verdict.subjects import Case
from darkroom import Run, audit_text
from darkroom.demo.corpus import Corpus, make_corpus
from darkroom.demo.language_models import save_model, train_gpt
from darkroom.text.canaries import Canaries, make_canaries, save_key
from darkroom.text.formats.secrets import make_format
from darkroom.text.lines import write_lines

FORMAT = r"\d{3}-\d{3}"
EACH = 6
OFTEN = 16


class Learned(NamedTuple):
    """A model and its tokenizer, and the canaries of its audit."""

    model: Any
    tokenizer: Any
    canaries: Canaries


@cache
def corpus(seed: int) -> Corpus:
    """Writes a corpus with half a dozen canaries that are there sixteen times."""
    secrets = make_format(FORMAT)
    return make_corpus(each=EACH, repetitions=(OFTEN,), others=64, secrets=secrets, seed=seed)


def trained(seed: int, known: int) -> Learned:
    """Trains a model on a corpus in which only the first canaries really stand."""
    return trained_on_some(seed, tuple(range(known)))


@cache
def trained_on_some(seed: int, known: tuple[int, ...]) -> Learned:
    """Trains a model on a corpus in which only some canaries really stand."""
    made = corpus(seed)
    left_out = {
        canary.line for place, canary in enumerate(made.canaries.inserted) if place not in known
    }
    lines = [line for line in made.lines if line not in left_out]
    model, tokenizer = train_gpt(lines, steps=170, width=64, layers=1, seed=seed)
    return Learned(model, tokenizer, made.canaries)


def audited(folder: Path, model: Any, canaries: Canaries, **options: Any) -> Run:
    """Audits a model for canaries."""
    save_key(folder / "key.json", canaries)
    return audit_text(
        model,
        folder / "key.json",
        attacks=[{"name": "best-first", "rows": 60}],
        out=folder,
        progress=False,
        **options,
    )


def null_cases(count: int, seed: int) -> Iterator[Case]:
    """Yields one model with fresh canaries each time, which it never met."""
    for number in range(count):

        def audit(folder: Path, drawn: int = number) -> Run:
            learned = trained(seed, 0)
            rng = np.random.default_rng([seed, drawn])
            canaries = make_canaries(make_format(FORMAT), repetitions=(OFTEN,), each=EACH, rng=rng)
            return audited(folder, (learned.model, learned.tokenizer), canaries)

        yield Case("text", f"canaries that it never met, {number}", "nothing", audit)


def planted(percent: int, count: int, seed: int) -> Iterator[Case]:
    """Yields models that know each of the canaries with a chance."""
    for number in range(count):

        def audit(folder: Path, drawn: int = number) -> Run:
            chances = np.random.default_rng([seed, drawn, 13]).random(EACH)
            known = tuple(np.flatnonzero(chances < percent / 100).tolist())
            learned = trained_on_some(seed, known)
            return audited(folder, (learned.model, learned.tokenizer), learned.canaries)

        yield Case("text", f"{percent}% of {EACH} canaries, {number}", "half", audit)


def leaks(seed: int) -> Iterator[Case]:
    """Yields models that know all, half, or one of the canaries."""
    for name, known in (("by heart", EACH), ("half", EACH // 2), ("one", 1)):

        def audit(folder: Path, known: int = known) -> Run:
            learned = trained(seed, known)
            return audited(folder, (learned.model, learned.tokenizer), learned.canaries)

        yield Case("text", f"{known} of {EACH} canaries", name, audit)  # type: ignore[arg-type]


def sound(seed: int) -> Iterator[Case]:
    """Yields a model that knows its language and no canary."""

    def audit(folder: Path) -> Run:
        learned = trained(seed, 0)
        return audited(folder, (learned.model, learned.tokenizer), learned.canaries)

    yield Case("text", "knows its language, no canary", "nothing", audit)


def misuses(seed: int) -> Iterator[Case]:
    """Yields folders whose model is not the one that was trained."""
    learned = trained(seed, EACH)
    for name, cause, model in _other_models(learned.model.config):
        yield Case("text", name, "misuse", _saved(learned, model), cause)
    yield Case(
        "text",
        "canaries of another corpus",
        "misuse",
        _other_canaries(learned, seed),
        "canaries not in corpus",
    )


def _other_models(config: Any) -> Iterator[tuple[str, str, Callable[[], Any]]]:
    """Yields models without what was trained, each with what is wrong with it."""
    import transformers

    library: Any = transformers  # which leaves constructors untyped
    yield "weights not loaded", "weights not loaded", lambda: library.GPT2LMHeadModel(config)
    sizes = {"vocab_size": config.vocab_size, "max_position_embeddings": config.n_positions}
    layers = {"num_hidden_layers": 1, "num_attention_heads": 2}
    wide = {**sizes, **layers, "hidden_size": 32, "intermediate_size": 64}
    bert, llama = library.BertConfig(**wide), library.LlamaConfig(**wide)
    for model, of in (
        (library.GPT2Model, config),
        (library.GPT2ForSequenceClassification, config),
        (library.BertModel, bert),
        (library.BertForTokenClassification, bert),
        (library.LlamaModel, llama),
        (library.LlamaForSequenceClassification, llama),
    ):
        yield model.__name__, "no language-model head", partial(model, of)
    untrained = partial(library.BertForPreTraining, bert)
    yield "BertForPreTraining, untrained", "weights not loaded", untrained
    bart = library.BartConfig(**sizes, d_model=32, encoder_layers=1, decoder_layers=1)
    yield "BartForCausalLM", "half a model", partial(_decoder_alone, bart)
    whole = partial(library.BartForConditionalGeneration, bart)
    yield "BartForConditionalGeneration, untrained", "weights not loaded", whole
    t5 = library.T5Config(vocab_size=config.vocab_size, d_model=32, d_ff=64, num_layers=1)
    begins_nowhere = partial(library.T5ForConditionalGeneration, t5)
    yield "T5ForConditionalGeneration", "decoder_start_token_id", begins_nowhere


def _decoder_alone(config: Any) -> Any:
    """Makes the decoder of a model that also has an encoder, and says so in its configuration."""
    from transformers import BartForCausalLM

    model: Any = BartForCausalLM(config)
    model.config.is_encoder_decoder = True
    return model


def _saved(learned: Learned, model: Callable[[], Any]) -> Callable[[Path], Run]:
    def audit(folder: Path) -> Run:
        save_model(model(), learned.tokenizer, folder / "model")
        return audited(folder, folder / "model", learned.canaries)

    return audit


def _other_canaries(learned: Learned, seed: int) -> Callable[[Path], Run]:
    def audit(folder: Path) -> Run:
        rng = np.random.default_rng([seed, 77])
        others = make_canaries(make_format(FORMAT), repetitions=(OFTEN,), each=EACH, rng=rng)
        write_lines(folder / "train.txt", corpus(seed).lines)
        return audited(
            folder, (learned.model, learned.tokenizer), others, corpus=folder / "train.txt"
        )

    return audit
