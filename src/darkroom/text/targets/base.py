"""What every language model is to an attacker: text in, log-probabilities or text out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from darkroom.access import LanguageAccess
from darkroom.errors import TargetError
from darkroom.ledger import Bill
from darkroom.text.targets.conversations import MARK

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Tokens = tuple[int, ...]


class Charge(Bill):
    """Charges the rows of one call; told their positions in it before they are answered.

    It corrects itself when a network fails, as :class:`darkroom.ledger.Bill` does.
    """

    def __call__(self, rows: NDArray[np.int64]) -> None:
        """Charges rows that are about to be answered.

        Args:
            rows: Their positions in the call.

        Raises:
            BudgetExhausted: If they would go over the limit; they must not be asked then.
        """
        self.again(rows)


class Free(Charge):
    """Charges nobody: for the audit's own questions."""

    def __init__(self) -> None:
        """Needs no ledger."""

    def again(self, rows: NDArray[np.int64]) -> None:
        """Does nothing."""

    def unsent(self, rows: NDArray[np.int64]) -> None:
        """Does nothing."""


def free() -> Charge:
    """Returns what charges nobody."""
    return Free()


class Codec(Protocol):
    """A tokenizer, as far as an attack needs it.

    Attributes:
        vocabulary: The bytes that each token stands for, ``None`` for tokens that stand for no
            text.
        drops_space: Whether white space between words belongs to no token.
        mask: The token that stands for a missing one, or ``None``.
    """

    @property
    def vocabulary(self) -> Sequence[bytes | None]:
        """The bytes of every token."""
        ...

    @property
    def drops_space(self) -> bool:
        """Whether white space belongs to no token."""
        ...

    @property
    def mask(self) -> int | None:
        """The mask token."""
        ...

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """Returns the canonical tokens of each text."""
        ...


class ServerCodec:
    """The tokens that a server has named: a vocabulary that grows.

    Attributes:
        drops_space: No: a server's tokens hold their white space.
        mask: None: servers fill no masks.
    """

    drops_space = False
    mask: int | None = None

    def __init__(self) -> None:
        """Starts empty."""
        self._numbers: dict[bytes, int] = {}
        self._words: list[bytes] = []

    @property
    def vocabulary(self) -> Sequence[bytes | None]:
        """The bytes of every token named so far."""
        return self._words

    def number(self, word: bytes) -> int:
        """Returns the number of a token, a new one for a new token."""
        if word not in self._numbers:
            self._numbers[word] = len(self._words)
            self._words.append(word)
        return self._numbers[word]

    def encode(self, texts: Sequence[str]) -> list[Encoded]:  # noqa: ARG002
        """Cannot: only the server knows how a text is cut.

        Raises:
            TargetError: Always.
        """
        raise TargetError("only the server knows how a text is cut into tokens")


class Encoded(NamedTuple):
    """The tokens of a text, those that only mark its start and its end apart.

    Attributes:
        opening: Marks of the start.
        tokens: The text itself.
        closing: Marks of the end.
        starts: Where in the text, in bytes of UTF-8, each token starts.
        ends: Where it ends.
    """

    opening: Tokens
    tokens: Tokens
    closing: Tokens
    starts: Tokens
    ends: Tokens


class NextTokens(NamedTuple):
    """What may follow each of some prefixes.

    Attributes:
        logprobs: Natural logarithms of probabilities, float64 or float32 ``(n, tokens)``, by
            token; minus infinity for tokens that the model does not tell of.
        unseen: The most that a token which it does not tell of can have, ``(n,)``; minus infinity
            where it tells of all.
    """

    logprobs: Floats
    unseen: Floats


class Blank(NamedTuple):
    """A text with missing tokens, for a model that fills masks.

    Attributes:
        before: The tokens before.
        after: The tokens behind.
        missing: How many are missing between them.
    """

    before: Tokens
    after: Tokens
    missing: int


Prompt = Tokens | str | Blank
"""What a model continues: tokens, a text where the tokens are unknown, or a text with a gap."""


class TokenTrie(ABC):
    """Prefixes that a model has been asked about, each grown from another by one token.

    Work done for a prefix is kept for all that grow from it.
    """

    @abstractmethod
    def open(self, prompts: Sequence[Prompt], charge: Charge) -> tuple[Integers, NextTokens]:
        """Starts a prefix for each prompt; every one costs a row.

        Returns:
            The prefixes' numbers, int64 ``(n,)``, and what may follow each.

        Raises:
            TargetError: If the model answers something that cannot be used.
        """

    @abstractmethod
    def extend(
        self, prefixes: Integers, tokens: Integers, charge: Charge
    ) -> tuple[Integers, NextTokens]:
        """Grows prefixes by one token each; every one costs a row.

        Args:
            prefixes: Numbers from :meth:`open` or this method, ``(n,)``; one may occur often.
            tokens: The token to add to each, ``(n,)``.
            charge: Is told of rows before they are answered.

        Returns:
            The new prefixes' numbers, and what may follow each.

        Raises:
            TargetError: If the model answers something that cannot be used.
        """


class Sampling(NamedTuple):
    """How text is drawn.

    Attributes:
        temperature: Divides logits; 0 takes the likeliest token always.
        top_k: Only so many of the likeliest tokens are drawn from; 0 for all.
    """

    temperature: float = 1.0
    top_k: int = 0

    def describe(self) -> str:
        """Says it in words."""
        cut = f", from the {self.top_k} likeliest tokens" if self.top_k else ""
        return f"temperature {self.temperature:g}{cut}"


class LanguageTarget(ABC):
    """A language model under audit.

    Attributes:
        name: What reports call it.
        access: The most that a query to it can return.
        masked: Whether it fills masks instead of continuing text.
        codec: Its tokenizer, or ``None`` where only the server has it.
        filtered: Prompts and answers that a server's content filter has withheld so far.
    """

    name: str
    access: LanguageAccess
    masked: bool = False
    filtered: int = 0

    @property
    @abstractmethod
    def codec(self) -> Codec:
        """Its tokenizer; for a server's, the tokens seen so far, and no canonical spelling."""

    @property
    def positions(self) -> int | None:
        """How many tokens it reads at most, or ``None`` where that is not known."""
        return None

    @property
    def knows_tokens(self) -> bool:
        """Whether :meth:`Codec.encode` works, so that the canonical tokens of a text are known."""
        return True

    @property
    def reads(self) -> str:
        """How it reads text, in a sentence for reports; nothing where nobody can choose."""
        return ""

    def placed(self, before: str, after: str) -> tuple[str, str]:
        """Returns the texts before and behind a secret as this model is given them.

        Args:
            before: The text before the secret.
            after: The text behind it. Where :data:`MARK` begins the text before, both are parts of
                a conversation (:mod:`darkroom.text.targets.conversations`).

        Raises:
            TargetError: If the model takes no such conversation.
        """
        if before.startswith(MARK):
            raise TargetError(
                f"target {self.name} takes no conversations: make canaries without --chat"
            )
        return before, after

    def line(self, text: str) -> str:
        """Returns a whole text as this model is given it; see :meth:`placed`."""
        return "".join(self.placed(text, "")) if text.startswith(MARK) else text

    @abstractmethod
    def trie(self) -> TokenTrie:
        """Returns an empty trie of prefixes.

        Raises:
            TargetError: If the model does not tell log-probabilities.
        """

    @abstractmethod
    def score(self, prompts: Sequence[str], endings: Sequence[str], charge: Charge) -> list[Floats]:
        """Returns the log-probability of each token of each ending, after its prompt.

        Tokens are the canonical ones of prompt and ending together; those that reach into the
        ending count. For a model that fills masks, each token is masked in turn (the pseudo-log-
        likelihood of Salazar et al. 2020), a row each.

        Args:
            prompts: The texts before.
            endings: The texts to score, as many.
            charge: Is told of rows before they are answered.

        Raises:
            TargetError: If the model does not tell log-probabilities of a given text.
        """

    def score_fillings(
        self,
        blanks: Sequence[Blank],  # noqa: ARG002 - for those that override it
        fillings: Sequence[Tokens],  # noqa: ARG002
        charge: Charge,  # noqa: ARG002
    ) -> list[Floats]:
        """Returns the pseudo-log-likelihood of each token of each filling of a gap.

        Args:
            blanks: The tokens around each filling.
            fillings: The tokens to score.
            charge: Is told the position of a filling for each of its tokens.

        Raises:
            TargetError: If the model fills no masks.
        """
        raise TargetError(f"target {self.name} fills no masks: choose an attack for its kind")

    @abstractmethod
    def sample(
        self,
        prompts: Sequence[str],
        length: int,
        sampling: Sampling,
        rng: np.random.Generator,
        charge: Charge,
    ) -> list[str]:
        """Continues each prompt once, at random; every one costs a row.

        Args:
            prompts: The texts to go on from.
            length: Tokens to draw at most.
            sampling: How.
            rng: The source of randomness, where it is ours to choose.
            charge: Is told of rows before they are answered.

        Raises:
            TargetError: If the model cannot continue text.
        """

    @abstractmethod
    def fingerprint(self) -> str:
        """Returns a hash of all that decides the target's answers, as hexadecimal digits."""
