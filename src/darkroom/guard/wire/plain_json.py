"""Any other server that takes JSON and answers JSON, with paths to the inputs and the scores."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import jmespath
from jmespath.exceptions import JMESPathError

from darkroom.errors import PlanError, one_line
from darkroom.guard.wire.base import Answered, Asked
from darkroom.guard.wire.bodies.multipart import read_form
from darkroom.guard.wire.rows import Classes, Shape, read_rows
from darkroom.guard.wire.strict_json import Unclear, as_object, numeric, only
from darkroom.guard.wire.strict_wire import StrictWire
from darkroom.wire.base import dumped

PERSON = "{person}"
"""What stands in a route for the person enrolled whom a request is about."""

PEOPLE = "[A-Za-z0-9._@:-]{1,128}"
"""What people may be called: nothing that is written in several ways, or divides subjects."""

_PEOPLE = re.compile(PEOPLE)


@dataclass(frozen=True)
class PlainJson(StrictWire):
    """``POST ROUTE``, rows under one key, scores under a path.

    Requests hold the rows, what ``allow`` names, and nothing else. The path is a JMESPath
    expression of names, dots and ``[*]``, because it is also how the answer is written back: what
    it does not lead to does not leave.

    Attributes:
        route: The path of the inference route, such as ``/predict``; ``{person}`` in it stands for
            the person enrolled whom a request is about, as in ``/people/{person}/compare``.
        health: Paths that go through uncharged.
        inputs: The key of the rows, dots between nested keys.
        path: Where the answer has one entry a row: probabilities, objects of them, or labels.
        allow: Other members that a request may have at its top. Name none that makes the model
            answer more, or about more rows.
        files: Fields of forms that hold a file a row, such as pictures. Requests are forms then
            (``multipart/form-data``), and ``allow`` names their other fields.
        one_by_one: Whether a request holds a row itself, not a list of rows, and the path leads to
            that row's entry.
        person: The member of a request, or the field of a form, that names the person enrolled
            whom it is about, for budgets ``per = "person"``. It need not be among ``allow``.
        row_shape: What every row of numbers must have.
        classes: The names of the classes in order; needed where the server tells the best alone.
    """

    name: ClassVar[str] = "json"

    route: str = "/predict"
    health: tuple[str, ...] = ("/health", "/healthz")
    inputs: str = "inputs"
    path: str = "scores"
    allow: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    one_by_one: bool = False
    person: str | None = None
    row_shape: Shape = None
    classes: Classes = None

    def __post_init__(self) -> None:
        """Compiles the path.

        Raises:
            PlanError: If it is no JMESPath expression, or cannot be written back; or if the person
                stands in two places.
        """
        try:
            _placed(self._path.parsed, [])
        except (JMESPathError, Unclear) as error:
            raise PlanError(
                f"wire json: path {self.path!r} is no use ({one_line(error)}): give names, dots "
                "and [*], such as predictions[*].scores"
            ) from error
        if self.inputs.split(".")[0] in self.allow or not all(self.inputs.split(".")):
            raise PlanError(f"wire json: inputs {self.inputs!r} is empty or among allow")
        places = self.route.count(PERSON) + (self.person is not None)
        if places > 1 or self.person in (*self.allow, self.inputs.split(".")[0], *self.files):
            raise PlanError(
                "wire json: the person should stand in one place of its own: in the route or "
                "under person, and not among allow, inputs and files"
            )

    @property
    def names_people(self) -> bool:
        """Whether every request says which person enrolled it is about."""
        return self.person is not None or PERSON in self.route

    @cached_property
    def _route(self) -> re.Pattern[str]:
        """Matches the inference route, and finds the person in it."""
        before, there, after = self.route.partition(PERSON)
        return re.compile(re.escape(before) + (f"({PEOPLE})" if there else "") + re.escape(after))

    @cached_property
    def _place(self) -> tuple[str, list[str], frozenset[str]]:
        """The key of the rows, those within it, and the members that a request may have."""
        outer, *inner = self.inputs.split(".")
        return outer, inner, frozenset((outer, *self._allowed))

    @cached_property
    def _allowed(self) -> tuple[str, ...]:
        """The other members or fields that a request may have."""
        return self.allow if self.person is None else (*self.allow, self.person)

    @cached_property
    def _keys(self) -> tuple[str, ...] | None:
        """The path, if it is names and dots alone, which need no interpreter."""
        return _names(self._path.parsed)

    @cached_property
    def _path(self) -> Any:
        return jmespath.compile(self.path)

    def matches(self, method: str, path: str) -> bool:
        """Tells whether this is inference."""
        if PERSON not in self.route:
            return method == "POST" and path == self.route
        return method == "POST" and self._route.fullmatch(path) is not None

    def passes(self, method: str, path: str) -> bool:
        """Lets health through."""
        return method == "GET" and path in self.health

    def _read(self, path: str, headers: Mapping[str, str], body: bytes) -> Asked:
        if self.files:
            asked, named = self._form(headers, body)
        else:
            asked, named = self._object(headers, body)
        if self.person is not None:
            asked.person = _person(named)
        elif PERSON in self.route and (found := self._route.fullmatch(path)) is not None:
            asked.person = found[1]
        return asked

    def _object(self, headers: Mapping[str, str], body: bytes) -> tuple[Asked, object]:
        """Returns what a request in JSON asks, and whom it names."""
        place: Any = self._json(headers, body)
        named = None if self.person is None else place.get(self.person)
        outer, inner, known = self._place
        only(place, known, "the request")
        place = place.get(outer)
        for key in inner:
            only(as_object(place, "what holds the rows"), (key,), "what holds the rows")
            place = place.get(key)
        if self.one_by_one:
            return self._one(place), named
        return read_rows(place, self.row_shape, "rows"), named

    def _form(self, headers: Mapping[str, str], body: bytes) -> tuple[Asked, object]:
        """Returns what a form asks, and whom it names."""
        form = read_form(headers, body, self.files, self._allowed)
        if self.one_by_one and form.files > 1:
            raise Unclear("the form should have one file")
        named = None if self.person is None else form.fields.get(self.person)
        return Asked(form.files, None), named

    def _one(self, row: object) -> Asked:
        if isinstance(row, str | dict):
            return read_rows([row], None, "the row")
        found = numeric(row, "the row")
        if found is None or (self.row_shape is not None and found.shape != tuple(self.row_shape)):
            raise Unclear("the row should be a string, an object or numbers of the declared shape")
        return Asked(1, found.row)

    def _answer(self, asked: Asked, body: Any) -> Answered:
        if self._keys is None:
            try:
                body = self._path.search(body)
            except (JMESPathError, TypeError, ValueError, ArithmeticError, RecursionError):
                raise Unclear("the path fails on it") from None
        else:
            for key in self._keys:
                body = body.get(key) if isinstance(body, dict) else None
        scores, write = self._understood(
            [body] if self.one_by_one else body, asked.rows, self.classes
        )

        def rebuild(changed: Any) -> bytes:
            rows = write(changed)
            value = rows[0] if self.one_by_one else rows
            return dumped(_placed(self._path.parsed, value))

        return self._answered(scores, rebuild)


def _person(named: object) -> str:
    """Returns whom a request names.

    Raises:
        Unclear: If it names nobody, or by what budgets cannot be kept under.
    """
    if type(named) is int:
        named = str(named)
    if isinstance(named, bytes):
        named = named.decode("ascii", "replace")
    if not isinstance(named, str) or _PEOPLE.fullmatch(named) is None:
        raise Unclear(
            "it should name the person whom it is about, in up to 128 letters, digits and ._@:-",
            422,
        )
    return named


def _names(path: Mapping[str, Any]) -> tuple[str, ...] | None:
    kind, parts = path["type"], path["children"]
    if kind == "field":
        return (path["value"],)
    if kind == "subexpression":
        outer, inner = map(_names, parts)
        return None if outer is None or inner is None else (*outer, *inner)
    return None


def _placed(path: Mapping[str, Any], value: Any) -> Any:
    """Returns the least document in which a parsed path leads to a value.

    Raises:
        Unclear: If the path holds more than names, dots and ``[*]``.
    """
    kind, parts = path["type"], path["children"]
    if kind in ("current", "identity"):
        return value
    if kind == "field":
        return {path["value"]: value}
    if kind == "subexpression":
        return _placed(parts[0], _placed(parts[1], value))
    if kind == "projection" and isinstance(value, list):
        # The empty document is for the check of the path, which has no rows.
        return _placed(parts[0], [_placed(parts[1], one) for one in value or [None]])
    raise Unclear(f"it holds a {kind}")
