"""Whose budgets a request is charged to: its client, of several models the one, and its routes."""

from __future__ import annotations

import re
from typing import NamedTuple

from darkroom.guard.budget_sections import matching
from darkroom.guard.policy import Policy

_COMPLETIONS = re.compile(r"(?:/v1)?(/(?:chat/)?completions)")


class Asker(NamedTuple):
    """What decides which budgets count a request.

    Attributes:
        client: Who asks.
        model: Of several models, which; ``None`` where there is one.
        routes: The policy's routes that its path is among.
    """

    client: str
    model: str | None = None
    routes: tuple[str, ...] = ()

    @property
    def places(self) -> tuple[str, ...]:
        """What its subjects end with, the empty one first."""
        model = () if self.model is None else (f"/model/{self.model}",)
        return ("", *model, *(f"/route/{one}" for one in self.routes))


class Scopes:
    """Finds the model and the routes of requests.

    Attributes:
        several: Whether there are several models to choose among.
    """

    def __init__(self, policy: Policy) -> None:
        """Takes the policy."""
        self._models = [
            (one.name, matching(one.paths), frozenset(one.names)) for one in policy.model
        ]
        self._routes = [(one.name, matching(one.paths)) for one in policy.route]
        self.several = bool(self._models)

    def asker(self, client: str, path: str, named: str | None = None) -> Asker | None:
        """Returns whose budgets count; ``None`` if there are several models, and none is meant.

        Args:
            client: Who asks.
            path: Within the application.
            named: The model that the request's body names.
        """
        model = self.model(path, named)
        if self.several and model is None:
            return None
        spelled = _spellings(path)
        routes = tuple(name for name, paths in self._routes if any(map(paths.fullmatch, spelled)))
        return Asker(client, model, routes)

    def asker_of_path(self, client: str, path: str) -> Asker | None:
        """Returns whose budgets count, if the body cannot change that.

        Args:
            client: Who asks.
            path: Within the application.
        """
        named = any(names for _, paths, names in self._models if paths.fullmatch(path))
        return None if named else self.asker(client, path)

    def models(self, path: str) -> list[str]:
        """Returns all models with this path, whatever names they have."""
        return [name for name, paths, _ in self._models if paths.fullmatch(path)]

    def model(self, path: str, named: str | None = None) -> str | None:
        """Returns the first model with this path, and with this name where it has any.

        Args:
            path: Within the application.
            named: The model that the request's body names; ``None`` for questions about health.
        """
        return next(
            (
                name
                for name, paths, names in self._models
                if paths.fullmatch(path) and (not names or named is None or named in names)
            ),
            None,
        )


def _spellings(path: str) -> tuple[str, ...]:
    """Returns a path in all ways to write it: the format of OpenAI answers with and without /v1.

    >>> _spellings("/completions"), _spellings("/predict")
    (('/completions', '/v1/completions'), ('/predict',))
    """
    found = _COMPLETIONS.fullmatch(path)
    return (path,) if found is None else (found[1], f"/v1{found[1]}")
