"""A language model in a local folder, as the ``transformers`` library writes it."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from darkroom.access import LanguageAccess
from darkroom.errors import MissingExtraError, TargetError, one_line
from darkroom.text.targets.adapters import Sources, apply_adapter, find_sources
from darkroom.text.targets.base import (
    Blank,
    Charge,
    Floats,
    LanguageTarget,
    Sampling,
    Tokens,
    TokenTrie,
    free,
)
from darkroom.text.targets.chat_templates import templated, templated_line
from darkroom.text.targets.codec import SOURCE_ENDS, HuggingFaceCodec, require_fast
from darkroom.text.targets.conversations import MARK, opened
from darkroom.text.targets.folders import read_folder
from darkroom.text.targets.loading import Loading, fills_masks
from darkroom.text.targets.networks.causal_trie import CausalTrie
from darkroom.text.targets.networks.fill_trie import FillTrie, score_masked
from darkroom.text.targets.networks.network import Network
from darkroom.text.targets.networks.plain_trie import PlainTrie
from darkroom.text.targets.networks.reading import Reading, choose_reading
from darkroom.text.targets.options import LoadOptions, in_cache
from darkroom.text.targets.sampling import draw

_TRIED = (
    "The number of 7 days, 35 a month.",
    "number 12 of the day is not 40",
    "a 9 and 250 in all",
)
"""Lines on which ways of reading are tried."""

_TRIED_BEHIND = tuple(
    f"{source}{SOURCE_ENDS}{line}" for source, line in zip("abc", _TRIED, strict=True)
)
"""The same behind what an encoder reads."""


class TransformersTarget(LanguageTarget):
    """A causal or masked language model with weights.

    Nothing is downloaded, no code from the folder is run, and weights are read from safetensors
    alone.

    Attributes:
        loading: What was not found in the folder that it was loaded from, if it was.
    """

    access = LanguageAccess.WEIGHTS
    loading: Loading | None = None

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        name: str = "transformers",
        batch: int = 256,
        cached: bool = True,
        encoder: str = "{before}",
        decoder: str = "{before}",
    ) -> None:
        """Wraps a model that is loaded already; see :func:`load_transformers`.

        Args:
            model: A ``PreTrainedModel`` that continues text, writes behind an encoder, or fills
                masks.
            tokenizer: Its ``PreTrainedTokenizerFast``, or a ``tokenizers.Tokenizer``.
            name: What reports call it.
            batch: Rows answered at a time.
            cached: Whether keys and values are kept; without, every prefix is read anew.
            encoder: What an encoder reads, with ``{before}`` and ``{after}`` for the text around a
                secret.
            decoder: What the decoder has written before the secret.

        Raises:
            TargetError: If the tokenizer is not a fast one.
        """
        self.name = name
        self.network = Network(model, name, batch)
        self._cached = cached
        self._around = (encoder, decoder)
        self._tokenizer = tokenizer
        self.masked = fills_masks(model)
        mask = getattr(tokenizer, "mask_token_id", None)
        backend = (
            require_fast(tokenizer, name) if hasattr(tokenizer, "mask_token_id") else tokenizer
        )
        starts = _starts_of(model, name) if self.network.encodes else None
        self._codec = HuggingFaceCodec(backend, mask=mask if self.masked else None, starts=starts)
        if self.masked and mask is None:
            raise TargetError(f"target {name}: its tokenizer has no mask token: set mask_token")

    @property
    def codec(self) -> HuggingFaceCodec:
        """Its tokenizer."""
        return self._codec

    @property
    def model(self) -> Any:
        """The ``PreTrainedModel``."""
        return self.network.model

    @property
    def _mask(self) -> int:
        """The token that stands for one to be filled in."""
        assert self.codec.mask is not None
        return self.codec.mask

    @cached_property
    def reading(self) -> Reading:
        """How text is read: with keys and values kept, where that changes nothing.

        Raises:
            TargetError: If the model cannot be read, or does not continue text.
        """
        if not self._cached:
            return Reading("anew", "keys and values were not to be kept")
        encoded = self.codec.encode(_TRIED if not self.network.encodes else _TRIED_BEHIND)
        lines = [
            (*one.opening, *one.tokens[:least])
            for one, least in zip(encoded, (7, 9, 11), strict=True)
        ]
        return choose_reading(self.network, lines)

    def placed(self, before: str, after: str) -> tuple[str, str]:
        """Returns the texts around a secret by the tokenizer's chat template; see the base.

        An encoder reads the turns before the secret's own; of plain text, what it was told.
        """
        chat = before.startswith(MARK)
        if self.masked or (not chat and not self.network.encodes):
            return super().placed(before, after)
        if not self.network.encodes:
            return templated(self._tokenizer, before, after, self.name)
        if chat:
            around = opened(before, after)
            source = "\n".join(turn.content for turn in around.former)
            return f"{source}{SOURCE_ENDS}{around.begun}", around.rest
        source, written = (
            text.replace("{before}", before).replace("{after}", after) for text in self._around
        )
        return f"{source}{SOURCE_ENDS}{written}", after

    def line(self, text: str) -> str:
        """Returns a whole conversation by the tokenizer's chat template; see the base.

        Of plain text, an encoder reads the line that its decoder writes.
        """
        if self.network.encodes and not text.startswith(MARK):
            return f"{text}{SOURCE_ENDS}{text}"
        if not text.startswith(MARK) or self.network.encodes or self.masked:
            return super().line(text)
        return templated_line(self._tokenizer, text, self.name)

    @property
    def reads(self) -> str:
        """How it reads text, in a sentence."""
        return "Masks are filled from left to right." if self.masked else self.reading.describe()

    def trie(self) -> TokenTrie:
        """Returns an empty trie of prefixes."""
        return FillTrie(self.network, self._mask) if self.masked else self._causal()

    def _causal(self) -> CausalTrie | PlainTrie:
        return self.reading.trie(self.network)

    def score(self, prompts: Sequence[str], endings: Sequence[str], charge: Charge) -> list[Floats]:
        """Returns the log-probability of each token of each ending; see the base."""
        whole = [prompt + ending for prompt, ending in zip(prompts, endings, strict=True)]
        befores: list[Tokens] = []
        afters: list[Tokens] = []
        for encoded, prompt in zip(self.codec.encode(whole), prompts, strict=True):
            boundary = len(prompt.encode())
            first = sum(end <= boundary for end in encoded.ends)
            befores.append(encoded.opening + encoded.tokens[:first])
            afters.append(encoded.tokens[first:])
        return self.score_tokens(befores, afters, charge)

    def score_tokens(
        self, prompts: Sequence[Tokens], endings: Sequence[Tokens], charge: Charge
    ) -> list[Floats]:
        """Returns the log-probability of each token of each ending, a row each.

        Args:
            prompts: The tokens before, with marks of the start; each different one is read once.
            endings: The tokens to score.
            charge: Is told of rows before they are answered.
        """
        if self.masked:
            closing = self.codec.encode([""])[0].closing
            blanks = [Blank(prompt, closing, 0) for prompt in prompts]
            return score_masked(self.network, self._mask, blanks, endings, charge)
        charge(np.arange(len(prompts)))
        trie = self._causal()
        different = list(dict.fromkeys(prompts))
        roots, first = trie.open(different, free())
        known = {prompt: place for place, prompt in enumerate(different)}
        places = np.array([known[prompt] for prompt in prompts], np.int64)
        return trie.score(roots[places], first.logprobs[places], endings)

    def score_fillings(
        self, blanks: Sequence[Blank], fillings: Sequence[Tokens], charge: Charge
    ) -> list[Floats]:
        """Returns the pseudo-log-likelihood of each token of each filling; see the base."""
        if not self.masked:
            return super().score_fillings(blanks, fillings, charge)
        return score_masked(self.network, self._mask, blanks, fillings, charge)

    def sample(
        self,
        prompts: Sequence[str],
        length: int,
        sampling: Sampling,
        rng: np.random.Generator,
        charge: Charge,
    ) -> list[str]:
        """Continues each prompt once; see the base. A row is one continuation, however long."""
        if self.masked:
            raise TargetError(
                f"target {self.name} fills masks and continues nothing: choose fill-mask"
            )
        charge(np.arange(len(prompts)))
        encoded = self.codec.encode(list(dict.fromkeys(prompts)))
        known = {prompt: place for place, prompt in enumerate(dict.fromkeys(prompts))}
        trie = self._causal()
        roots, first = trie.open([one.opening + one.tokens for one in encoded], free())
        places = np.array([known[prompt] for prompt in prompts], np.int64)
        prefixes, logprobs = roots[places], first.logprobs[places]
        drawn = np.zeros((len(prompts), 0), np.int64)
        for step in range(length):
            tokens = draw(logprobs.astype(np.float64), sampling, rng)
            drawn = np.concatenate([drawn, tokens[:, None]], axis=1)
            if step + 1 < length:
                prefixes, following = trie.extend(prefixes, tokens, free())
                logprobs = following.logprobs
        return [self._text(row) for row in drawn]

    def _text(self, tokens: NDArray[np.int64]) -> str:
        spelled = []
        for token in tokens:
            piece = self.codec.vocabulary[token] if token < len(self.codec.vocabulary) else None
            if piece is None:  # a mark of the end
                break
            spelled.append(piece)
        return b"".join(spelled).decode(errors="replace")

    @property
    def positions(self) -> int | None:
        """How many tokens it reads at most, as its configuration says."""
        return self.network.positions

    def with_model(self, model: Any) -> TransformersTarget:
        """Returns the same target with another model of the same shape behind its tokenizer."""
        other = copy.copy(self)
        for known in ("_digest", "reading"):
            other.__dict__.pop(known, None)
        other.network = copy.copy(self.network)
        other.network.model = model.eval().requires_grad_(False)
        return other

    def tokens_of(self, lines: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Returns lines as a causal model is trained on them, cut to what it can read.

        Args:
            lines: Any texts; those of fewer than two tokens are left out.

        Returns:
            Tokens with the marks of start and end that the tokenizer and the model know, padded
            behind, int64 ``(lines, length)``; and which are no padding.

        Raises:
            TargetError: If no line is left.
        """
        end = getattr(self.model.config, "eos_token_id", None)
        most = self.positions or 1024
        rows = []
        for one in self.codec.encode(lines):
            row = [*one.opening, *one.tokens, *one.closing]
            if isinstance(end, int) and row[-1:] != [end]:
                row.append(end)
            if len(row) > 1:
                rows.append(row[:most])
        if not rows:
            raise TargetError(f"target {self.name}: no line of two tokens to train on")
        longest = max(map(len, rows))
        ids = torch.zeros((len(rows), longest), dtype=torch.long)
        for place, row in enumerate(rows):
            ids[place, : len(row)] = torch.tensor(row)
        return ids, torch.arange(longest) < torch.tensor([[len(row)] for row in rows])

    @cached_property
    def _digest(self) -> str:
        digest = hashlib.sha256(self.model.config.to_json_string().encode())
        digest.update(self.codec.identity.encode())
        digest.update(str(getattr(self._tokenizer, "chat_template", None) or "").encode())
        for key, value in sorted(self.model.state_dict().items()):
            digest.update(key.encode())
            digest.update(
                value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data
            )
        return digest.hexdigest()

    def fingerprint(self) -> str:
        """Returns a hash of the configuration, the tokenizer and every weight."""
        if not self.network.encodes:
            return self._digest
        return hashlib.sha256(repr((self._digest, self._around)).encode()).hexdigest()


def _starts_of(model: Any, name: str) -> int:
    """Returns the token that a decoder begins with.

    Raises:
        TargetError: If the model does not say.
    """
    for configuration in (getattr(model, "generation_config", None), model.config):
        start = getattr(configuration, "decoder_start_token_id", None)
        if isinstance(start, int):
            return start
    raise TargetError(
        f"target {name}: its config.json does not say with which token its decoder begins: set "
        "decoder_start_token_id"
    )


def load_transformers(
    folder: Path,
    *,
    device: str = "cpu",
    batch: int = 256,
    options: LoadOptions = LoadOptions(),  # noqa: B008 - frozen
) -> TransformersTarget:
    """Loads a model and its tokenizer from a local folder.

    Args:
        folder: As ``save_pretrained`` writes it, with ``config.json``, ``tokenizer.json`` and
            weights as ``.safetensors``; or one that ``peft`` wrote, whose base is on this machine.
        device: Where it runs.
        batch: Rows answered at a time.
        options: How it is read.

    Raises:
        MissingExtraError: If ``transformers`` or another library for it is not installed.
        TargetError: If the folder holds no such model.
    """
    name = folder.name if options.revision is None else f"{folder.name}@{options.revision}"
    folder = in_cache(folder, options.revision)
    base, adapter = Sources(folder, None) if options.bare else find_sources(folder, options.adapter)
    try:
        model, tokenizer, loading = read_folder(base, adapter or base, options)
        if adapter is not None:
            merged = not getattr(model, "is_quantized", False)
            model, words = apply_adapter(model, adapter, merged=merged)
            loading = dataclasses.replace(loading, adapter=words)
    except (TargetError, MissingExtraError):
        raise
    except Exception as error:  # of three libraries, each with kinds of its own
        raise TargetError(
            f"{base}: not a readable language model ({one_line(error)}): {options.remedy}"
        ) from error
    require_fast(tokenizer, str(folder))
    placed = model if options.device_map or options.quantization else model.to(device)
    target = TransformersTarget(
        placed,
        tokenizer,
        name=name,
        batch=batch,
        encoder=options.encoder,
        decoder=options.decoder,
    )
    target.network.memory = options.memory
    target.loading = loading
    return target
