"""Where a request of plain JSON has its rows, and where an answer has them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

from darkroom.errors import TargetError, one_line
from darkroom.wire.answers import AnswerError
from darkroom.wire.base import parsed


class AnswerPath:
    """A JMESPath expression that leads to what an answer says.

    Attributes:
        text: As it was written.
    """

    def __init__(self, text: str) -> None:
        """Compiles it.

        Raises:
            TargetError: If it is no JMESPath expression.
        """
        self.text = text
        try:
            self._compiled = jmespath.compile(text)
        except JMESPathError as error:
            raise TargetError(
                f"[target] path = {text!r} is no JMESPath expression ({one_line(error)}): give "
                "one such as predictions[*].scores"
            ) from error

    def find(self, content: bytes) -> Any:
        """Returns what is found at the path.

        Raises:
            AnswerError: If the content is no JSON, the path fails on it, or nothing is there.
        """
        try:
            found = self._compiled.search(parsed(content))
        except (JMESPathError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
            raise AnswerError(f"path {self.text!r} fails on it ({one_line(error)[:80]})") from error
        if found is None:
            raise AnswerError(f"it has nothing at path {self.text!r}")
        return found


def placed(body: Mapping[str, Any], key: str, value: object) -> dict[str, Any]:
    """Returns a request's body with a value under a key, dots between nested keys.

    >>> placed({"model": "faces"}, "face.photo", 1)
    {'model': 'faces', 'face': {'photo': 1}}

    Args:
        body: What it holds besides.
        key: Where the value goes.
        value: What goes there.

    Raises:
        TargetError: If something is there already.
    """
    made = copy.deepcopy(dict(body))
    *outer, last = key.split(".")
    place: Any = made
    for one in outer:
        place = place.setdefault(one, {}) if isinstance(place, dict) else None
    if not isinstance(place, dict) or last in place:
        raise TargetError(f"[target] extra holds something at {key!r} already: choose another key")
    place[last] = value
    return made
