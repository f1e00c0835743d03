"""Parts: attacks, priors, defences and the like, by name or from outside.

A part is an object of a dataclass that has a ``name``; its fields are its parameters. Darkroom's
own are made by their names. Whoever writes one elsewhere gives it as an object, lets a plan
``load`` its class, or installs a package with an entry point.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from darkroom.errors import (
    DarkroomError,
    PlanError,
    TargetError,
    nearest,
    one_line,
    require_known,
)
from darkroom.imports import import_callable, importable, installed

T = TypeVar("T")


class Wanted(Protocol):
    """A part as a plan asks for it: by one of the first three."""

    @property
    def name(self) -> str | None:
        """Its name."""

    @property
    def load(self) -> str | None:
        """Where its class is, as ``module:Class``."""

    @property
    def part(self) -> object:
        """Itself, from Python."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Fields of its class; the others keep their defaults."""


class Registry(Generic[T]):
    """The parts of one kind.

    Attributes:
        what: What messages call such a part, as in ``attack``.
        base: What every such part is a subclass of.
        own: Darkroom's own classes by name.
        group: The group of entry points where packages bring others, or ``None``.
    """

    def __init__(self, what: str, base: type[Any], *own: type[T], group: str | None = None) -> None:
        """Files classes under their names.

        Args:
            what: What messages call such a part.
            base: What every such part is a subclass of.
            own: Darkroom's own classes.
            group: The group of entry points where packages bring others.
        """
        self.what, self.base, self.group = what, base, group
        self.own: dict[str, type[T]] = {_name(kind): kind for kind in own}

    def find(self, wanted: Wanted, folder: Path | None = None) -> T:
        """Makes or takes the part that a plan asks for.

        Args:
            wanted: How.
            folder: Where modules are looked for, beside the working folder and what is installed.

        Raises:
            PlanError: As :meth:`make` and :meth:`take`, or if what is loaded is no such part.
            TargetError: If it cannot be imported.
        """
        if wanted.part is not None:
            return self.take(wanted.part)
        if wanted.load is None:
            return self.make(wanted.name or "", wanted.parameters)
        kind = self._required(import_callable(wanted.load, folder), wanted.load)
        return self._made(kind, wanted.parameters)

    def make(self, name: str, parameters: Mapping[str, Any]) -> T:
        """Makes a part by name.

        Args:
            name: The part's, of Darkroom's own or of an installed package.
            parameters: Fields of its class; the others keep their defaults.

        Raises:
            PlanError: If there is no such name or parameter, or a value is of the wrong type or
                out of its range.
        """
        return self._made(self._required(*self._named(name), name), parameters)

    def build(self, wanted: Wanted, folder: Path | None, *given: object) -> T:
        """Makes a part that need be no dataclass, as a target, by calling what a plan names.

        Args:
            wanted: Its name or ``load``, which may be a function too; its parameters are arguments
                by name.
            folder: Where modules are looked for, beside the working folder and what is installed.
            given: Arguments before them.

        Raises:
            PlanError: If there is no such name, or what the call returns is no such part.
            TargetError: If it cannot be imported or called.
        """
        maker: Callable[..., object]
        if wanted.load is None:
            maker, where = self._named(wanted.name or "")
        else:
            maker, where = import_callable(wanted.load, folder), wanted.load
        with importable(folder):
            try:
                part = maker(*given, **wanted.parameters)
            except DarkroomError:
                raise
            except (Exception, SystemExit) as error:
                raise TargetError(f"{where}: calling it failed ({one_line(error)})") from error
        if not isinstance(part, self.base):
            raise self._stranger(f"{where}: what it returned, a {type(part).__name__},")
        return part  # type: ignore[no-any-return]

    def take(self, part: object) -> T:
        """Returns a part that was made elsewhere, if it is one.

        Raises:
            PlanError: If it is none, or its parameters are not plain.
        """
        if isinstance(part, type):
            raise PlanError(f"{part.__name__} is a class: give an object, {part.__name__}()")
        self._required(type(part), repr(part))
        parameters_of(part)
        return part  # type: ignore[return-value]

    def _made(self, kind: type[T], parameters: Mapping[str, Any]) -> T:
        owner = f"{self.what} {_name(kind)}"
        require_known(owner, parameters, [field.name for field in _shown(kind)])
        try:
            made: T = _adapter(kind).validate_python(dict(parameters))  # type: ignore[arg-type]
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise PlanError(f"{owner}: {place}: {first['msg']}, got {first['input']!r}") from error
        return made

    def _named(self, name: str) -> tuple[type[T], str]:
        """Finds a class by its name, and where it is.

        Raises:
            PlanError: If there is none, or packages disagree about which it is.
        """
        own = self.own.get(name)
        points = () if self.group is None else installed(self.group).select(name=name)
        found = {kind: point for point in points if (kind := self._loaded(point, own is None))}
        packages = " and ".join(sorted(map(_package, found.values())))
        if own is not None:
            if found:
                raise PlanError(
                    f"{self.what} {name} is Darkroom's own, and {packages} brings another of that "
                    "name: have it renamed there, or uninstall that package"
                )
            return own, name
        if len(found) > 1:
            raise PlanError(
                f'{packages} both bring {self.what} {name}: choose by load = "module:Class"'
            )
        for kind, point in found.items():
            return kind, f"{_package(point)}'s {point.value}"
        known = {*self.own, *(installed(self.group).names if self.group else ())}
        raise PlanError(f"no {self.what} is called {name!r}: {nearest(name, known)}")

    def _loaded(self, point: EntryPoint, needed: bool) -> type[T] | None:
        """Loads what a package brings; ``None`` if that is for another kind of audit.

        Raises:
            PlanError: If it is needed and cannot be loaded.
        """
        try:
            kind = point.load()
        except (Exception, SystemExit) as error:
            if not needed:
                return None
            raise PlanError(
                f"{self.what} {point.name} of {_package(point)} cannot be loaded "
                f"({one_line(error)}): mend or uninstall that package"
            ) from error
        return kind if isinstance(kind, type) and issubclass(kind, self.base) else None

    def _required(self, kind: object, where: str, name: str | None = None) -> type[T]:
        """Refuses classes that cannot be parts, or pass for another.

        Args:
            kind: What should be a class.
            where: Where it is from, for messages.
            name: What it must be called.

        Raises:
            PlanError: As above.
        """
        if not (isinstance(kind, type) and issubclass(kind, self.base)):
            raise self._stranger(where)
        left = ", ".join(sorted({*getattr(kind, "__abstractmethods__", ()), *self._unset(kind)}))
        if left:
            raise PlanError(f"{where} is not whole: write its {left}")
        if "__dataclass_fields__" not in vars(kind):
            raise PlanError(f"{where} has no parameters to tell: put @dataclass(frozen=True) on it")
        called = getattr(kind, "name", None)
        if not isinstance(called, str) or called != (name or called):
            raise PlanError(f'{where} is called {called!r}: give the class name = "{name or "…"}"')
        if self.own.get(called, kind) is not kind:
            raise PlanError(f"{where} is called {called}, as Darkroom's own: give it another name")
        return kind

    def _stranger(self, where: str) -> PlanError:
        base = f"{self.base.__module__}.{self.base.__qualname__}"
        return PlanError(f"{where} is no {self.what}: make it a subclass of {base}")

    def _unset(self, kind: type) -> Iterator[str]:
        """Yields what the base declares of its classes and one of them does not say."""
        for base in self.base.__mro__:
            for name, of in inspect.get_annotations(base).items():
                if str(of).startswith("ClassVar") and name != "name" and not hasattr(kind, name):
                    yield name


def parameters_of(part: object) -> dict[str, Any]:
    """Returns the fields of a dataclass instance with their values, as JSON can hold them.

    Fields whose metadata says ``hidden`` are left out: secrets, and what no plan could hold.

    Raises:
        PlanError: If a value is nothing that JSON can hold.
    """
    found = {}
    for field in _shown(part):
        value = getattr(part, field.name)
        try:
            found[field.name] = to_jsonable_python(value)
        except PydanticSerializationError as error:
            raise PlanError(
                f"{_name(part)}: {field.name} is a {type(value).__name__}, which no record can "
                "hold: let it take numbers, words or lists, and make the rest of them"
            ) from error
    return found


def identity(part: object, parameters: Mapping[str, Any] | None = None) -> list[Any]:
    """Returns what tells a part from every other, as JSON can hold it.

    Darkroom's own are told by name and parameters, beside its version. What comes from outside is
    told by the code of its module too, and of its bases' modules, so that a changed part is not
    answered with what the one before had found.

    Args:
        part: A dataclass instance with a ``name``.
        parameters: Those of its parameters that decide what it does; all when left out.

    Raises:
        PlanError: If the code of a part from outside is not in a file.
    """
    told = dict(parameters_of(part) if parameters is None else parameters)
    return [_name(part), told, *origin(type(part))]


def words_of(value: Any) -> Any:
    """Returns what a plan from Python holds as TOML can: a part as a plan asks for it.

    Args:
        value: A part, or tables and lists with parts in them.
    """
    if isinstance(value, list | tuple):
        return [words_of(one) for one in value]
    if isinstance(value, Mapping):
        part = words_of(value["part"]) if "part" in value else {}
        inside = {key: words_of(one) for key, one in value.items() if key != "part"}
        return {**part, **inside} if isinstance(part, dict) else {"part": part, **inside}
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value if isinstance(value, str | int | float) else repr(value)
    kept = {key: one for key, one in parameters_of(value).items() if one is not None}
    if _ours(type(value)):
        return {"name": _name(value), **kept}
    return {"load": f"{type(value).__module__}:{type(value).__qualname__}", **kept}


def is_ours(part: object) -> bool:
    """Tells whether a part is Darkroom's own, so that its version tells how it works."""
    return _ours(type(part))


def describe(part: object) -> str:
    """Writes a part with those of its parameters that are not its usual ones.

    Args:
        part: An instance of a dataclass with a ``name``.
    """
    changed = {
        field.name: value
        for field in _shown(part)
        if (value := getattr(part, field.name)) != _usual(field)
    }
    inside = ", ".join(
        f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}"
        for key, value in changed.items()
    )
    return f"{_name(part)}({inside})" if inside else _name(part)


def origin(kind: type) -> list[str]:
    """Returns where a class from outside is, and a hash of the code of it and its bases.

    Nothing is returned of Darkroom's own, which its version tells.

    Raises:
        PlanError: If the code is not in a file.
    """
    if _ours(kind):
        return []
    digest = hashlib.sha256()
    for base in kind.__mro__:
        if not _ours(base) and _root(base) not in sys.stdlib_module_names:
            digest.update(_code(base))
    return [f"{kind.__module__}:{kind.__qualname__}", digest.hexdigest()]


def _code(kind: type) -> bytes:
    """Returns the file of a class, or the source of its methods where a notebook has it.

    Raises:
        PlanError: If there is neither.
    """
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    # What dataclasses add to a class is in no file.
    methods = [
        value
        for value in vars(kind).values()
        if inspect.isfunction(value) and value.__code__.co_filename != "<string>"
    ]
    try:
        if file or methods:
            source = Path(file).read_bytes() if file else "".join(map(inspect.getsource, methods))
            return source if isinstance(source, bytes) else source.encode()
    except OSError:
        pass
    raise PlanError(
        f"{kind.__qualname__}: its code is in no file, so a change of it would go unseen: write "
        "it into a module"
    )


def _ours(kind: type) -> bool:
    return _root(kind) == "darkroom"


def _root(kind: type) -> str:
    return kind.__module__.partition(".")[0]


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value


@functools.cache  # making one takes longer than making a part with it
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _name(part: object) -> str:
    return str(part.name)  # type: ignore[attr-defined]


def _usual(field: dataclasses.Field[Any]) -> object:
    """Returns what a field holds unless it is told otherwise."""
    factory = field.default_factory
    return field.default if factory is dataclasses.MISSING else factory()


def _shown(part: object) -> list[dataclasses.Field[Any]]:
    fields = dataclasses.fields(part)  # type: ignore[arg-type]
    return [field for field in fields if field.init and not field.metadata.get("hidden")]
