"""Conversations as a tokenizer's own chat template writes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from darkroom.errors import TargetError, one_line
from darkroom.text.targets.conversations import MARK, SLOT, Turn, opened, turns_of


def templated(tokenizer: Any, before: str, after: str, name: str) -> tuple[str, str]:
    """Returns the texts before and behind a secret as the template writes the conversation.

    Args:
        tokenizer: With a chat template.
        before: The conversation up to the secret; see
            :mod:`darkroom.text.targets.conversations`.
        after: The rest of it.
        name: What messages call the model.

    Raises:
        TargetError: If there is no template, it fails, or it changes the secret's place.
    """
    around = opened(before, after)
    own = Turn(around.role, f"{around.begun}{SLOT}{around.rest}")
    whole = _rendered(tokenizer, [*around.former, own, *around.later], name)
    if whole.count(SLOT) != 1:
        raise TargetError(
            f"target {name}: its chat template leaves out what the {around.role} says, or repeats "
            "it: put the secret into another turn"
        )
    rendered, _, rest = whole.partition(SLOT)
    return MARK + rendered, rest


def templated_line(tokenizer: Any, line: str, name: str) -> str:
    """Returns a whole conversation as the template writes it.

    Raises:
        TargetError: As :func:`templated`.
    """
    return MARK + _rendered(tokenizer, turns_of(line), name)


def _rendered(tokenizer: Any, turns: Sequence[Turn], name: str) -> str:
    if not getattr(tokenizer, "chat_template", None):
        raise TargetError(
            f"target {name}: its tokenizer has no chat template: save the one that the model was "
            "fine-tuned with beside it, or make canaries without --chat"
        )
    messages = [turn._asdict() for turn in turns]
    try:
        return str(tokenizer.apply_chat_template(messages, tokenize=False))
    except Exception as error:  # a template raises what it likes
        raise TargetError(
            f"target {name}: its chat template refuses the conversation ({one_line(error)}): use "
            "the roles, and the order of roles, that the model was fine-tuned with"
        ) from None
