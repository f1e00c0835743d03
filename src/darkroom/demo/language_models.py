"""Small language models from a configuration, trained on a corpus in a minute or so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from darkroom.errors import MissingExtraError, RunError
from darkroom.text.targets.folders import quiet
from darkroom.training.schedules import one_cycle

START, END, PAD, MASK = "<s>", "</s>", "<pad>", "<mask>"
RATE = 2e-3
"""The highest learning rate of training."""

Advance = Callable[[int, int], None]


def _ignore(done: int, total: int) -> None:
    pass


def train_tokenizer(lines: Sequence[str], size: int = 512) -> Any:
    """Trains byte pairs, with every digit a token of its own.

    Args:
        lines: The corpus.
        size: Tokens in all.

    Returns:
        A ``PreTrainedTokenizerFast``.

    Raises:
        MissingExtraError: If ``transformers`` is not installed.
    """
    try:
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
        from transformers import PreTrainedTokenizerFast
    except ImportError as error:
        raise MissingExtraError("transformers", "text") from error
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[PAD, START, END, MASK],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines, trainer)
    make: Any = PreTrainedTokenizerFast  # the library leaves its constructor untyped
    return make(
        tokenizer_object=tokenizer,
        bos_token=START,
        eos_token=END,
        pad_token=PAD,
        mask_token=MASK,
        cls_token=START,
        sep_token=END,
    )


def _mark_ends(tokenizer: Any, *, closing: bool) -> None:
    """Lets the tokenizer put marks of the start, and of the end, around a text."""
    from tokenizers.processors import TemplateProcessing

    ids = [(mark, tokenizer.convert_tokens_to_ids(mark)) for mark in (START, END)]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{START} $A {END}" if closing else f"{START} $A", special_tokens=ids
    )


def train_gpt(
    lines: Sequence[str],
    *,
    seed: int = 0,
    steps: int = 420,
    width: int = 128,
    layers: int = 2,
    advance: Advance = _ignore,
) -> tuple[Any, Any]:
    """Trains a small GPT-2 on lines.

    Args:
        lines: The corpus.
        seed: Decides initial weights and the order of lines.
        steps: Batches of 48 lines.
        width: The size of a token's state.
        layers: Transformer blocks.
        advance: Told how many steps are done, of how many.

    Returns:
        The model and its tokenizer.

    Raises:
        MissingExtraError: If ``transformers`` is not installed.
    """
    tokenizer = train_tokenizer(lines)
    _mark_ends(tokenizer, closing=False)
    from transformers import GPT2Config, GPT2LMHeadModel

    configuration = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=96,
        n_embd=width,
        n_layer=layers,
        n_head=4,
        activation_function="gelu_pytorch_tanh",  # what it is usually, in one piece
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    ids, present = _batch(tokenizer, lines, end=tokenizer.eos_token_id)

    def loss(model: Any, rows: Tensor, _: torch.Generator) -> Tensor:
        length = int(present[rows].sum(dim=1).max())
        some, there = ids[rows, :length], present[rows, :length]
        logits = model(input_ids=some[:, :-1]).logits
        wanted = some[:, 1:].masked_fill(~there[:, 1:], -100)
        return functional.cross_entropy(logits.flatten(0, 1), wanted.flatten())

    model = _train(lambda: GPT2LMHeadModel(configuration), loss, len(lines), seed, steps, advance)
    return model, tokenizer


def train_bert(
    lines: Sequence[str],
    *,
    seed: int = 0,
    steps: int = 900,
    width: int = 128,
    layers: int = 2,
    advance: Advance = _ignore,
) -> tuple[Any, Any]:
    """Trains a small BERT on lines to fill masks.

    What is masked is a span of up to half of a line (after SpanBERT, Joshi et al. 2020), so that
    the model meets texts with many masks in a row in training too.

    Args:
        lines: The corpus.
        seed: Decides initial weights, the order of lines and what is masked.
        steps: Batches of 48 lines.
        width: The size of a token's state.
        layers: Transformer blocks.
        advance: Told how many steps are done, of how many.

    Returns:
        The model and its tokenizer.

    Raises:
        MissingExtraError: If ``transformers`` is not installed.
    """
    tokenizer = train_tokenizer(lines)
    _mark_ends(tokenizer, closing=True)
    from transformers import BertConfig, BertForMaskedLM

    configuration = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=4 * width,
        max_position_embeddings=96,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=tokenizer.pad_token_id,
    )
    ids, present = _batch(tokenizer, lines, end=None)
    inner = present & (ids != tokenizer.bos_token_id) & (ids != tokenizer.eos_token_id)

    def loss(model: Any, rows: Tensor, generator: torch.Generator) -> Tensor:
        length = int(present[rows].sum(dim=1).max())
        some, there = ids[rows, :length], present[rows, :length]
        hidden = _spans(some.shape, generator) & inner[rows, :length]
        shown = some.masked_fill(hidden, tokenizer.mask_token_id)
        logits = model(input_ids=shown, attention_mask=there.long()).logits
        wanted = some.masked_fill(~hidden, -100)
        return functional.cross_entropy(logits.flatten(0, 1), wanted.flatten())

    model = _train(lambda: BertForMaskedLM(configuration), loss, len(lines), seed, steps, advance)
    return model, tokenizer


def _spans(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Draws a span for each row, of one token to half of them, anywhere; bool, of the shape."""
    rows, length = shape
    widths = torch.randint(1, length // 2 + 1, (rows, 1), generator=generator)
    starts = torch.rand((rows, 1), generator=generator) * (length - widths + 1)
    places = torch.arange(length)
    return (places >= starts.floor()) & (places < starts.floor() + widths)


def _batch(tokenizer: Any, lines: Sequence[str], end: int | None) -> tuple[Tensor, Tensor]:
    """Returns the tokens of all lines, padded behind, and which are no padding."""
    rows = tokenizer(list(lines))["input_ids"]
    if end is not None:
        rows = [[*row, end] for row in rows]
    longest = max(len(row) for row in rows)
    ids = torch.full((len(rows), longest), tokenizer.pad_token_id)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = torch.tensor(row)
    lengths = torch.tensor([len(row) for row in rows])
    return ids, torch.arange(longest) < lengths[:, None]


def _train(
    build: Callable[[], Any],
    loss: Callable[[Any, Tensor, torch.Generator], Tensor],
    n: int,
    seed: int,
    steps: int,
    advance: Advance,
) -> Any:
    """Trains a model on batches of 48 of ``n`` lines, every line as often as any other."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = build().train()
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01, fused=True)
    schedule = one_cycle(optimizer, RATE, steps, rising=0.1)
    order = torch.zeros(0, dtype=torch.long)
    for step in range(steps):
        if len(order) < 48:
            order = torch.cat([order, torch.randperm(n, generator=generator)])
        rows, order = order[:48], order[48:]
        optimizer.zero_grad()
        loss(model, rows, generator).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        advance(step + 1, steps)
    return model.eval()


def save_model(model: Any, tokenizer: Any, folder: Path) -> None:
    """Writes a model and its tokenizer as ``save_pretrained`` does, with safetensors.

    Raises:
        RunError: If the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with quiet():
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
    except OSError as error:
        raise RunError(f"{folder}: {error.strerror or error}: choose another folder") from error
