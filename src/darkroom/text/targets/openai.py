"""A language model behind any OpenAI-compatible API."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import httpx
import numpy as np

from darkroom.access import LanguageAccess
from darkroom.errors import TargetError
from darkroom.remote.connection import Connection
from darkroom.remote.delivery import Delivery
from darkroom.remote.sender import Batch
from darkroom.remote.target import ServedTarget
from darkroom.text.targets.base import (
    Charge,
    Floats,
    Integers,
    LanguageTarget,
    NextTokens,
    Prompt,
    Sampling,
    ServerCodec,
    TokenTrie,
    free,
)
from darkroom.text.targets.conversations import MARK
from darkroom.text.targets.openai_api import Api
from darkroom.wire import openai as wire
from darkroom.wire.base import Request

_Answer = TypeVar("_Answer")

SAME = 0.02
"""Nats by which the same question's answers may differ: servers batch, and round."""

TEST_PROMPTS = ("The quick brown fox jumps over the lazy", "In the beginning there was", "1, 2, 3,")


class OpenAITarget(ServedTarget, LanguageTarget):
    """A language model that others serve. Every prompt sent is a row and counted, repeats too.

    What the endpoint can do is found out first, and tested: an endpoint that fails what it was
    declared to do is refused (:meth:`_test`).
    """

    def __init__(
        self,
        api: Api,
        *,
        authorized_by: str,
        delivery: Delivery | None = None,
        headers: Mapping[str, str] | None = None,
        secret_headers: Mapping[str, str] | None = None,
        secret_parameters: Mapping[str, str] | None = None,
        name: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Connects and tests the endpoint with a dozen questions about nothing.

        Args:
            api: How it is asked.
            authorized_by: Who allowed it.
            delivery: Concurrency, time-outs and retries.
            headers: Sent with each request.
            secret_headers: The same, for keys: kept out of messages, fingerprints and reports.
            secret_parameters: Parameters of the address, for keys: kept out of logs too.
            name: What reports call it; the model's name unless told.
            transport: Replaces the network, for tests.

        Raises:
            TargetError: If nobody allowed it, the endpoint cannot be reached, or fails the test.
        """
        if api.style != "completions" and api.scoring != "none":
            raise TargetError(
                f"target {api.url}: {api.style} endpoints score no given text: set [target] "
                'scoring = "none", or style = "completions"'
            )
        self.api = api
        self.name = name or api.model
        self._connection = Connection(
            api.url,
            authorized_by=authorized_by,
            name=self.name,
            delivery=delivery or Delivery(),
            headers=headers,
            secret_headers=secret_headers,
            secret_parameters=secret_parameters,
            transport=transport,
            quotes=False,
            answers=wire.says_filtered,
        )
        self.filtered = 0
        self._codec = ServerCodec()
        try:
            self.access = self._test()
        except BaseException:
            self.close()
            raise

    @property
    def codec(self) -> ServerCodec:
        """The tokens that the server has named so far."""
        return self._codec

    @property
    def knows_tokens(self) -> bool:
        """Only the server knows how a text is cut."""
        return False

    def trie(self) -> TokenTrie:
        """Returns an empty trie of prefixes."""
        return TextTrie(self)

    def score(self, prompts: Sequence[str], endings: Sequence[str], charge: Charge) -> list[Floats]:
        """Returns the log-probability of each token of each ending; see the base.

        Of a text that a content filter refuses, nothing is known: it is as good as impossible.
        """
        if self.api.scoring == "none":
            raise TargetError(
                f"target {self.name} scores no given text: set [target] scoring, or choose "
                "best-first or sampling"
            )
        texts = [prompt + ending for prompt, ending in zip(prompts, endings, strict=True)]
        bodies = [self.api.score_body(text) for text in texts]

        def read(row: int, choice: Mapping[str, Any]) -> Floats:
            if wire.withholds_scores(choice):
                return np.array([-np.inf])
            return wire.ending_logprobs(wire.prompt_tokens(choice, texts[row]), prompts[row])

        return self._ask(bodies, read, charge, wire.withholds_scores)

    def sample(
        self,
        prompts: Sequence[str],
        length: int,
        sampling: Sampling,
        rng: np.random.Generator,
        charge: Charge,
    ) -> list[str]:
        """Continues each prompt once; see the base. Servers that take a seed get one."""
        seeds = rng.integers(2**31, size=len(prompts)).tolist()
        bodies = [
            self.api.sample_body(prompt, length, sampling, seed)
            for prompt, seed in zip(prompts, seeds, strict=True)
        ]
        return self._ask(bodies, lambda _, choice: wire.written_text(choice), charge)

    def placed(self, before: str, after: str) -> tuple[str, str]:
        """Returns the texts around a secret; a chat endpoint is sent the turns of a conversation.

        Raises:
            TargetError: If it takes none, or cannot go on from where the secret stands.
        """
        if not before.startswith(MARK) or self.api.style != "chat":
            return super().placed(before, after)
        return self.api.answered(before, after)

    def likeliest(
        self, prompts: Sequence[str], partials: Sequence[str], charge: Charge
    ) -> list[list[wire.Token]]:
        """Returns the likeliest tokens after each prompt and what is there of the answer.

        Raises:
            TargetError: If the server does not tell.
        """
        api = self.api
        if api.style == "chat" and not api.prefill and any(partials):
            raise TargetError(
                f"target {self.name}: a chat endpoint goes on from no begun answer: set [target] "
                "prefill = true if this one does, or choose sampling"
            )
        pairs = zip(prompts, partials, strict=True)
        bodies = [api.next_body(prompt, partial) for prompt, partial in pairs]
        return self._ask(bodies, lambda _, choice: wire.likeliest_tokens(choice), charge)

    def _ask(
        self,
        bodies: Sequence[Mapping[str, Any]],
        read: Callable[[int, Mapping[str, Any]], _Answer],
        charge: Charge,
        withheld: Callable[[Mapping[str, Any]], bool] = wire.is_filtered,
    ) -> list[_Answer]:
        """Sends a request a row, and reads the answers in the rows' order.

        Args:
            bodies: The requests.
            read: Reads the answer to one of them.
            charge: Is told of rows before they are answered.
            withheld: Tells of an answer whether a content filter withholds it.
        """
        charge(np.arange(len(bodies)))

        def pack(batch: Batch) -> Request:
            body = self.api.sent(bodies[batch.first])
            return Request(self.api.endpoint(), json.dumps(body).encode())

        def unpack(batch: Batch, content: bytes) -> _Answer:
            choice = wire.choice_of(content)
            self.filtered += withheld(choice)
            return read(batch.first, choice)

        return self._connection.deliver(len(bodies), 1, pack, unpack, charge)

    def _test(self) -> LanguageAccess:
        """Finds out what the endpoint can do, and refuses it if it fails what it was declared to.

        Asked are neutral texts: what may follow them, how likely they are, and a continuation. The
        answers must be there in full, finite, the same when asked again and in another order, and
        agree with each other.

        Returns:
            The access that holds.

        Raises:
            TargetError: If it fails; the message says what.
        """
        self._test_text()
        access = LanguageAccess.SAMPLES
        if self.api.top_logprobs > 0:
            self._test_next()
            if self.api.style == "chat" and self.api.prefill:
                self._test_prefill()
            access = LanguageAccess.TOP_K
        if self.api.scoring != "none":
            self._test_scores()
            access = LanguageAccess.LOGPROBS
        return access

    def _test_text(self) -> None:
        body = self.api.sample_body(TEST_PROMPTS[0], 4, Sampling(), 0)
        (choice,) = self._ask([body], lambda _, choice: choice, free())
        if not wire.written_text(choice) and wire.reasons(choice):
            raise TargetError(
                f"target {self.name}: the model thinks before it writes, and came to no text: set "
                "[target] reasoning = 2000 (tokens it may think), or extra = {reasoning_effort = "
                '"none"} if the server knows that'
            )

    def _test_next(self) -> None:
        prompts = list(TEST_PROMPTS)
        empty = [""] * len(prompts)
        first = self.likeliest(prompts, empty, free())
        again = self.likeliest(prompts[::-1], empty, free())[::-1]
        for one, other in zip(first, again, strict=True):
            if len(one) > self.api.top_logprobs + 1:  # some add the token that was drawn
                raise self._failed(f"it names {len(one)} tokens, not {self.api.top_logprobs}")
            known = {token.text: token.logprob for token in one}
            shared = [abs(known[t.text] - t.logprob) for t in other if t.text in known]
            if not shared or (max(shared) > SAME and not self.api.allow_noise):
                raise self._failed(
                    "it answers the same question differently when asked again or in another "
                    "order: switch prefix caching off, or set [target] allow_noise = true for an "
                    "endpoint that adds noise"
                )
        if not any(len(one) > 1 for one in first) and self.api.top_logprobs > 1:
            raise self._failed("it names one token where several were asked for")

    def _test_prefill(self) -> None:
        """Checks that an answer sent along is gone on from: what follows its first token is told.

        A server that takes the begun answer for a message of its own says something else.
        """
        prompts, rng = list(TEST_PROMPTS), np.random.default_rng(0)
        whole = self.sample(prompts, 6, Sampling(temperature=0), rng, free())
        firsts = [
            (row[0].text or b"").decode(errors="replace")
            for row in self.likeliest(prompts, [""] * len(prompts), free())
        ]
        nexts = self.likeliest(prompts, firsts, free())
        agree = told = 0
        for text, first, row in zip(whole, firsts, nexts, strict=True):
            text, first = text.lstrip(), first.lstrip()
            if not first or not text.startswith(first) or text == first:
                continue  # an answer of one token tells nothing
            told += 1
            following = (row[0].text or b"").decode(errors="replace")
            agree += text.startswith(first + following)
        if 2 * agree < told:
            raise self._failed(
                "it does not go on from an answer that is begun: set [target] prefill = false"
            )

    def _test_scores(self) -> None:
        prompts = list(TEST_PROMPTS)
        endings = [" dog and the cat", " a word", " 4, 5"]
        first = self.score(prompts, endings, free())
        if not all(np.isfinite(one).all() for one in first):
            raise self._failed(
                "its content filter refuses texts about nothing: check [target] model and style"
            )
        again = self.score(prompts[::-1], endings[::-1], free())[::-1]
        for one, other in zip(first, again, strict=True):
            differ = len(one) != len(other) or float(np.abs(one - other).max()) > SAME
            if differ and not self.api.allow_noise:
                raise self._failed(
                    "it scores the same text differently when asked again or in another order: "
                    "switch prefix caching off, or set [target] allow_noise = true"
                )
        if len({round(float(one.sum()), 3) for one in first}) == 1:
            raise self._failed("it gives every text the same score")
        together = self.score(prompts[:1], [endings[0] + endings[1]], free())[0]
        if len(together) <= len(first[0]) and not self.api.allow_noise:
            raise self._failed("it scores only a part of a longer text")

    def _failed(self, why: str) -> TargetError:
        return TargetError(f"target {self.name} fails the test of its log-probabilities: {why}")

    def fingerprint(self) -> str:
        """Returns a hash of how the server is asked; nothing else of its model can be known."""
        return hashlib.sha256(repr(self.api).encode()).hexdigest()


class TextTrie(TokenTrie):
    """Prefixes as text; what the server keeps of them is its own affair."""

    def __init__(self, target: OpenAITarget) -> None:
        """Starts empty.

        Args:
            target: Is asked.
        """
        self._target = target
        self._prompts: list[str] = []
        self._partials: list[bytes] = []

    def open(self, prompts: Sequence[Prompt], charge: Charge) -> tuple[Integers, NextTokens]:
        """Starts a prefix for each prompt; see :meth:`TokenTrie.open`."""
        added = [(str(prompt), b"") for prompt in prompts]
        return self._grown(added, charge)

    def extend(
        self, prefixes: Integers, tokens: Integers, charge: Charge
    ) -> tuple[Integers, NextTokens]:
        """Grows prefixes by one token each; see :meth:`TokenTrie.extend`."""
        words = self._target.codec.vocabulary
        added = [
            (self._prompts[prefix], self._partials[prefix] + (words[token] or b""))
            for prefix, token in zip(prefixes.tolist(), tokens.tolist(), strict=True)
        ]
        return self._grown(added, charge)

    def _grown(
        self, added: Sequence[tuple[str, bytes]], charge: Charge
    ) -> tuple[Integers, NextTokens]:
        start = len(self._prompts)
        self._prompts += [prompt for prompt, _ in added]
        self._partials += [partial for _, partial in added]
        # A token may end within a character; what is asked then is the text with a stand-in.
        partials = [partial.decode(errors="replace") for _, partial in added]
        told = self._target.likeliest([prompt for prompt, _ in added], partials, charge)
        codec = self._target.codec
        rows = [
            [(codec.number(token.text), token.logprob) for token in row if token.text]
            for row in told
        ]
        logprobs = np.full((len(rows), len(codec.vocabulary)), -np.inf)
        unseen = np.zeros(len(rows))
        for place, (row, every) in enumerate(zip(rows, told, strict=True)):
            for number, logprob in row:
                logprobs[place, number] = max(logprobs[place, number], logprob)
            if not every:
                unseen[place] = -np.inf  # what a content filter refuses leads nowhere
                continue
            values = np.array([token.logprob for token in every])
            left = max(1 - float(np.exp(values).sum()), 1e-12)
            # A token not named is at most as likely as the last one named, and as all the rest.
            unseen[place] = min(float(values.min()), float(np.log(left)))
        return np.arange(start, len(self._prompts)), NextTokens(logprobs, unseen)
