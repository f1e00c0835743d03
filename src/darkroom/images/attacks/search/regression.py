"""Slopes of the target's log-scores, learned from every answer that was paid for."""

from __future__ import annotations

import torch
from torch import Tensor

RIVALS = 50
"""How many classes, beside the goal, are followed."""

KEPT = 2.0
"""The rows a coordinate that a search's regression remembers, about: what is far from where a
search has come to misleads."""

LATEST = 4
"""The rows a coordinate that a logistic model is fitted to: each tells less."""

PENALTY = 0.3
"""The weight of the squared slopes of a logistic model."""

FITS = 8
"""The steps that its fit takes after each generation."""


class _Regression:
    """What is learned of the goal and its rivals, for each search.

    Attributes:
        rows: How many points each search has learned from.
    """

    def __init__(self, classes: Tensor) -> None:
        self.rows = 0
        self._classes = classes
        self._followed: Tensor | None = None

    def _values(self, searches: Tensor, logs: Tensor) -> Tensor:
        """Returns the log-scores that are followed, ``(active, n, followed)``.

        The goal and its strongest rivals in the first generation, in which all searches ask.
        """
        if self._followed is None:
            goals = self._classes[:, None]
            average = logs.mean(dim=1).scatter(1, goals, torch.inf)
            self._followed = average.topk(min(RIVALS + 1, average.shape[1]), dim=1).indices
        chosen = self._followed[searches][:, None].expand(-1, logs.shape[1], -1)
        return logs.gather(2, chosen)


class LogScoreRegression(_Regression):
    """Ridge regression of the goal's and its rivals' log-scores on the points asked.

    Each search has a regression of its own, all solved in one batch. Differences within a
    generation alone count, so whatever a generation has in common (a random move of its images,
    the place where it was drawn) cancels. A linear softmax is learned from about as many rows as
    there are coordinates; older generations fade, because other models are linear only nearby.

    Attributes:
        rows: How many points each search has learned from.
    """

    def __init__(self, classes: Tensor, dimensions: int) -> None:
        """Knows nothing yet.

        Args:
            classes: The goal of each search, int64 ``(searches,)``.
            dimensions: The coordinates of a point.
        """
        super().__init__(classes)
        self._squares = torch.zeros(len(classes), dimensions, dimensions)
        self._products = torch.zeros(0)
        self._ridge = torch.zeros(len(classes))
        self._middle = torch.zeros(len(classes), dimensions)
        self._levels = torch.zeros(0)

    def add(self, searches: Tensor, points: Tensor, logs: Tensor) -> None:
        """Learns from one generation.

        Args:
            searches: Which of the searches asked, ``(active,)``.
            points: ``(active, n, dimensions)``.
            logs: What came back, ``(active, n, classes)``.
        """
        values = self._values(searches, logs)
        if self.rows == 0:
            self._products = torch.zeros(*self._middle.shape, values.shape[2])
            self._levels = torch.zeros(len(self._classes), values.shape[2])
        self._middle[searches], self._levels[searches] = points.mean(dim=1), values.mean(dim=1)
        away = points - points.mean(dim=1, keepdim=True)
        rise = values - values.mean(dim=1, keepdim=True)
        keep = max(0.0, 1 - points.shape[1] / (KEPT * points.shape[2]))
        self._squares[searches] = keep * self._squares[searches] + away.mT @ away
        self._products[searches] = keep * self._products[searches] + away.mT @ rise
        if self.rows == 0:
            self._ridge[searches] = away.square().mean(dim=(1, 2))
        self.rows += points.shape[1]

    def slopes(self, searches: Tensor) -> Slopes:
        """Returns the linear model of each of these searches around its latest generation."""
        squares = self._squares[searches]
        squares.diagonal(dim1=1, dim2=2).add_(self._ridge[searches, None])
        factor = torch.linalg.cholesky(squares)
        slopes = torch.cholesky_solve(self._products[searches], factor)
        return Slopes(self._middle[searches], self._levels[searches], slopes)


class LogisticRegression(_Regression):
    """Multinomial logistic regression of rounded scores on the points asked, of each search.

    Where scores are rounded their logarithms are cut off at both ends, and a line through them is
    too flat. A logistic model says what is expected of an answer that rounds to nothing or to one.
    It is fitted to the latest rows by the steps of Böhning 1992, which need one factorisation for
    all classes and never overshoot, from where the last fit ended.

    Attributes:
        rows: How many points each search has learned from.
    """

    def __init__(self, classes: Tensor, dimensions: int, floor: float) -> None:
        """Knows nothing yet.

        Args:
            classes: The goal of each search, int64 ``(searches,)``.
            dimensions: The coordinates of a point.
            floor: What was added to scores before their logarithms.
        """
        super().__init__(classes)
        self._floor = floor
        self._points = torch.zeros(len(classes), 0, dimensions)
        self._scores = torch.zeros(len(classes), 0, 0)
        self._weights = torch.zeros(len(classes), dimensions + 1, 0)

    def add(self, searches: Tensor, points: Tensor, logs: Tensor) -> None:
        """Learns from one generation; arguments as :meth:`LogScoreRegression.add`."""
        values = self._values(searches, logs)
        if self.rows == 0:
            self._scores = torch.zeros(len(self._classes), 0, values.shape[2])
            self._weights = torch.zeros(*self._weights.shape[:2], values.shape[2])
        scores = (values.exp() - self._floor).clamp_min(0)
        scores = scores / scores.sum(dim=2, keepdim=True).clamp_min(1e-6)
        most = LATEST * points.shape[2]
        self._points = _append(self._points, searches, points, most)
        self._scores = _append(self._scores, searches, scores, most)
        self.rows += points.shape[1]

    def slopes(self, searches: Tensor) -> Slopes:
        """Returns the linear logits of each of these searches around its latest rows."""
        points, scores = self._points[searches], self._scores[searches]
        middle = points.mean(dim=1, keepdim=True)
        inputs = torch.cat([points - middle, torch.ones(*points.shape[:2], 1)], dim=2)
        squares = inputs.mT @ inputs / 2
        squares.diagonal(dim1=1, dim2=2).add_(PENALTY)
        factor = torch.linalg.cholesky(squares)
        weights = self._weights[searches]
        for _ in range(FITS):
            wrong = scores - (inputs @ weights).softmax(dim=2)
            weights = weights + torch.cholesky_solve(inputs.mT @ wrong - PENALTY * weights, factor)
        self._weights[searches] = weights
        return Slopes(middle[:, 0], weights[:, -1], weights[:, :-1])


def _append(kept: Tensor, searches: Tensor, rows: Tensor, most: int) -> Tensor:
    """Returns the latest rows of all searches; of those that have ended nothing is asked again."""
    added = torch.zeros(len(kept), *rows.shape[1:])
    added[searches] = rows
    return torch.cat([kept, added], dim=1)[:, -most:]


class Slopes:
    """Log-scores as linear functions of the point; the goal's comes first."""

    def __init__(self, middle: Tensor, levels: Tensor, slopes: Tensor) -> None:
        """Takes the models.

        Args:
            middle: Where the levels hold, ``(n, dimensions)``.
            levels: The log-scores there, ``(n, followed)``.
            slopes: ``(n, dimensions, followed)``.
        """
        self._middle, self._levels, self._slopes = middle, levels, slopes

    def uphill(self, points: Tensor) -> Tensor:
        """Returns the gradient of the best rival's lead over the goal, ``(n, dimensions)``.

        Args:
            points: Where, ``(n, dimensions)``.
        """
        here = self._levels + ((points - self._middle)[:, None] @ self._slopes)[:, 0]
        rival = here[:, 1:].argmax(dim=1) + 1
        chosen = self._slopes.gather(2, rival[:, None, None].expand(-1, points.shape[1], 1))
        return chosen[:, :, 0] - self._slopes[:, :, 0]
