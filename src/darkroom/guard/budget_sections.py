"""The sections of a policy that say whose rows count together, and up to how many."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import translate
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from darkroom.guard.sections import ADDRESS, NAME
from darkroom.guard.windows import Window, parse_window
from darkroom.sections import Section


def matching(paths: Sequence[str]) -> re.Pattern[str]:
    r"""Returns what matches any of some paths, in which ``*`` stands for any characters.

    >>> bool(matching(["/v2/models/faces/*"]).fullmatch("/v2/models/faces/versions/1/infer"))
    True
    >>> bool(matching(["/a[b]"]).fullmatch("/a[b]"))
    True
    """
    # Of the signs that stand for others, paths here know the star alone.
    plain = [re.sub(r"[\[?]", lambda sign: f"[{sign[0]}]", one) for one in paths]
    return re.compile("|".join(translate(one) for one in plain))


def spans(wide: str, narrow: str) -> bool:
    """Tells whether all paths that one matches are matched by another.

    >>> spans("/v2/*", "/v2/*/infer"), spans("/v2/*/infer", "/v2/*")
    (True, False)
    """
    # No path has a star in it: where one stands, only a star is as wide.
    return matching([wide]).fullmatch(narrow) is not None


class RouteSection(Section):
    """Paths under a name, so that a budget can concern them alone.

    Attributes:
        name: As budgets call it.
        paths: Such as ``/v1/chat/completions``; ``*`` stands for any characters.
    """

    name: str = Field(pattern=NAME)
    paths: list[str] = Field(min_length=1)

    @field_validator("paths")
    @classmethod
    def _absolute(cls, value: list[str]) -> list[str]:
        return [_checked_path(one) for one in value]


class ServedModelSection(Section):
    """One of several models behind one guard.

    Attributes:
        name: As budgets call it.
        paths: Of its requests; ``*`` stands for any characters.
        names: What requests call it where the path does not say, as OpenAI's ``model``.
        url: Its server; that of ``[upstream]`` when left out.
        headers_from_env: For a server of its own, headers that are sent to it, and for each the
            environment variable with its value. Those of ``[upstream]`` are not sent there.
    """

    name: str = Field(pattern=NAME)
    paths: list[str] = Field(min_length=1)
    names: list[str] = Field(default_factory=list)
    url: str | None = Field(default=None, pattern=ADDRESS)
    headers_from_env: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _for_a_server(self) -> Self:
        if self.headers_from_env and self.url is None:
            raise ValueError("headers_from_env goes with url")
        return self

    @field_validator("paths")
    @classmethod
    def _absolute(cls, value: list[str]) -> list[str]:
        return [_checked_path(one) for one in value]


class BudgetSection(Section):
    """A budget in rows, or in tokens of a language model.

    Attributes:
        name: Shown in ``RateLimit`` fields.
        per: Whose rows are counted together. ``person`` is the person enrolled whom a request is
            about, over all clients; a ``[[wire]]`` tells where requests name them.
        rows: The most of them in a window.
        tokens: Instead of rows, the most tokens of prompts and completions.
        window: ``day`` for a calendar day, or a sliding window such as ``1h``. A burst is a short
            window.
        clients: For ``per = "client"``, whom it concerns; everybody when left out.
        groups: For ``per = "client"``, the groups whose clients it concerns; for
            ``per = "group"``, those it concerns, or all.
        models: Of several models, those whose rows count, each by itself; all of them together
            when left out.
        routes: The routes whose rows count, each by itself; all when left out.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")
    per: Literal["client", "group", "class", "model", "person"] = "client"
    rows: int | None = Field(default=None, ge=1, le=10**12)
    tokens: int | None = Field(default=None, ge=1, le=10**12)
    window: str = "day"
    clients: list[str] | None = None
    groups: list[str] | None = None
    models: list[str] | None = None
    routes: list[str] | None = None

    @field_validator("window")
    @classmethod
    def _readable(cls, value: str) -> str:
        parse_window(value)
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.rows is None) == (self.tokens is None):
            raise ValueError("give rows or tokens, one of them")
        if self.clients is not None and self.per != "client":
            raise ValueError("clients goes with per = 'client'")
        if self.groups is not None and self.per not in ("client", "group"):
            raise ValueError("groups goes with per = 'client' or 'group'")
        if self.clients is not None and self.groups is not None:
            raise ValueError("give clients or groups, not both")
        if self.models is not None and self.routes is not None:
            raise ValueError("give models or routes, not both")
        if self.per == "class" and (self.routes is not None or self.tokens is not None):
            raise ValueError("a budget of classes counts rows, and on all routes")
        if self.per == "person" and self.tokens is not None:
            raise ValueError("a budget of people counts rows")
        return self

    @property
    def limit(self) -> int:
        """The most, in its unit."""
        found = self.rows if self.tokens is None else self.tokens
        assert found is not None
        return found

    @property
    def unit(self) -> Literal["rows", "tokens"]:
        """What it counts."""
        return "rows" if self.tokens is None else "tokens"

    @property
    def span(self) -> Window:
        """The window."""
        return parse_window(self.window)

    @property
    def rule(self) -> str:
        """What it allows, for people."""
        of = [
            f" of {what} {', '.join(named)}"
            for what, named in (
                ("client", self.clients),
                ("group", self.groups),
                ("model", self.models),
                ("route", self.routes),
            )
            if named is not None
        ]
        each = "group's clients" if self.per == "group" else self.per
        return f"{self.limit} {self.unit} per {each}, window {self.window}{''.join(of)}"


def _checked_path(path: str) -> str:
    if not path.startswith("/") or any(sign in path for sign in "?# \t\n"):
        raise ValueError(f"{path!r} is no path such as '/v2/models/faces/*'")
    return path
