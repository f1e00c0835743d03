"""Parts by name, by import path, as objects and from installed packages."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

from darkroom.errors import DarkroomError, PlanError, TargetError
from darkroom.named import Registry, describe, identity, parameters_of, words_of
from darkroom.sections import PartSection


class Tool(ABC):
    """What all tools are."""

    name: ClassVar[str]
    size: ClassVar[int]

    @abstractmethod
    def use(self) -> int: ...


@dataclass(frozen=True)
class Hammer(Tool):
    """Darkroom's own."""

    name: ClassVar[str] = "hammer"
    size: ClassVar[int] = 1

    weight: float = 1.0
    marks: tuple[str, ...] = ()
    secret: str = field(default="", metadata={"hidden": True})

    def use(self) -> int:
        return 1


TOOLS: Registry[Tool] = Registry("tool", Tool, Hammer, group="darkroom.tools")

MODULE = """\
from dataclasses import dataclass
from typing import Any, ClassVar

from tests.test_named import Tool


@dataclass(frozen=True)
class Saw(Tool):
    name: ClassVar[str] = "saw"
    size: ClassVar[int] = 2
    teeth: int = 20

    def use(self):
        return self.teeth


@dataclass(frozen=True)
class Second(Saw):
    pass


@dataclass(frozen=True)
class Impostor(Saw):
    name: ClassVar[str] = "hammer"


class Bare(Tool):
    name: ClassVar[str] = "bare"
    size: ClassVar[int] = 2

    def use(self):
        return 0


@dataclass(frozen=True)
class Unfinished(Tool):
    name: ClassVar[str] = "unfinished"


@dataclass(frozen=True)
class Nameless(Tool):
    size: ClassVar[int] = 2

    def use(self):
        return 0


@dataclass(frozen=True)
class Heavy(Tool):
    name: ClassVar[str] = "heavy"
    size: ClassVar[int] = 2
    net: Any = object

    def use(self):
        return 0


def made():
    return Saw()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "own_tools.py").write_text(MODULE)
    yield tmp_path
    sys.modules.pop("own_tools", None)


Install = Callable[..., None]


@pytest.fixture
def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a package that brings entry points; the module is ``own_tools``."""
    monkeypatch.syspath_prepend(folder)

    def install(package: str, **points: str) -> None:
        info = folder / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = [f"{name} = {value}" for name, value in points.items()]
        (info / "entry_points.txt").write_text("\n".join(["[darkroom.tools]", *lines, ""]))

    return install


def loaded(folder: Path, name: str, **parameters: Any) -> Tool:
    return TOOLS.find(
        PartSection.model_validate({"load": f"own_tools:{name}", **parameters}), folder
    )


def message(error: pytest.ExceptionInfo[DarkroomError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def test_own_parts_have_names() -> None:
    assert TOOLS.find(PartSection.model_validate({"name": "hammer", "weight": 2})) == Hammer(2.0)
    assert TOOLS.make("hammer", {"marks": ["a"]}) == Hammer(marks=("a",))


def test_a_class_beside_the_plan_is_loaded_with_its_parameters(folder: Path) -> None:
    saw = loaded(folder, "Saw", teeth=7)
    assert (saw.name, saw.use()) == ("saw", 7)


def test_an_object_is_taken_as_it_is(folder: Path) -> None:
    saw = loaded(folder, "Saw")
    assert TOOLS.find(PartSection(part=saw)) is saw
    assert TOOLS.take(Hammer(3.0)) == Hammer(3.0)


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("Saw", {"tooth": 3}, "tool saw has no parameter 'tooth': did you mean 'teeth'"),
        ("Saw", {"teeth": "many"}, "tool saw: teeth: "),
        ("Impostor", {}, "own_tools:Impostor is called hammer, as Darkroom's own"),
        ("Bare", {}, "own_tools:Bare has no parameters to tell: put @dataclass"),
        ("Unfinished", {}, "own_tools:Unfinished is not whole: write its size, use"),
        ("Nameless", {}, 'own_tools:Nameless is called None: give the class name = "…"'),
        ("made", {}, "own_tools:made is no tool: make it a subclass of tests.test_named.Tool"),
        ("dataclass", {}, "own_tools:dataclass is no tool"),
        ("none", {}, "own_tools has no callable none"),
    ],
)
def test_what_cannot_be_loaded_is_said_in_a_line(
    folder: Path, name: str, parameters: dict[str, Any], expected: str
) -> None:
    with pytest.raises(DarkroomError) as caught:
        loaded(folder, name, **parameters)
    assert expected in message(caught)


def test_a_module_that_is_not_there_is_said_in_a_line(folder: Path) -> None:
    with pytest.raises(TargetError) as caught:
        TOOLS.find(PartSection.model_validate({"load": "no_tools:Saw"}), folder)
    assert "cannot import no_tools" in message(caught)


def test_objects_that_are_no_parts_are_refused(folder: Path) -> None:
    for part, expected in (
        (Hammer, "Hammer is a class: give an object, Hammer()"),
        (3, "3 is no tool: make it a subclass of"),
        (loaded(folder, "Heavy"), "heavy: net is a type, which no record can hold"),
    ):
        with pytest.raises(PlanError) as caught:
            TOOLS.find(PartSection(part=part))
        assert expected in message(caught)


def test_an_installed_package_brings_parts_by_name(install: Install) -> None:
    install("saws", saw="own_tools:Saw")
    assert TOOLS.make("saw", {"teeth": 9}).use() == 9
    with pytest.raises(PlanError) as caught:
        TOOLS.make("sow", {})
    assert "did you mean 'saw'? Known: hammer, saw" in message(caught)


def test_what_a_package_brings_for_other_audits_is_not_seen(install: Install) -> None:
    install("others", saw="own_tools:dataclass")
    install("saws", saw="own_tools:Saw")
    assert TOOLS.make("saw", {}).use() == 20


def test_a_broken_package_breaks_what_names_it_alone(install: Install) -> None:
    install("broken", saw="no_tools:Saw", hammer="no_tools:Hammer")
    assert TOOLS.make("hammer", {}) == Hammer()
    with pytest.raises(PlanError) as caught:
        TOOLS.make("saw", {})
    assert "tool saw of broken cannot be loaded (ModuleNotFoundError" in message(caught)


def test_no_package_takes_a_name_that_is_taken(install: Install) -> None:
    install("saws", hammer="own_tools:Saw", saw="own_tools:Saw", mitre="own_tools:Second")
    with pytest.raises(PlanError) as caught:
        TOOLS.make("hammer", {})
    assert "tool hammer is Darkroom's own, and saws brings another" in message(caught)
    install("more", saw="own_tools:Second")
    with pytest.raises(PlanError) as caught:
        TOOLS.make("saw", {})
    assert "more and saws both bring tool saw: choose by load" in message(caught)
    with pytest.raises(PlanError) as caught:
        TOOLS.make("mitre", {})
    assert "is called 'saw': give the class name = \"mitre\"" in message(caught)


def test_parameters_are_as_json_holds_them() -> None:
    hammer = Hammer(2.0, ("a", "b"), "key")
    assert parameters_of(hammer) == {"weight": 2.0, "marks": ["a", "b"]}
    assert describe(hammer) == "hammer(weight=2, marks=('a', 'b'))"
    assert describe(Hammer()) == "hammer"


def test_a_changed_part_is_another(folder: Path) -> None:
    name, parameters, place, code = identity(loaded(folder, "Saw", teeth=3))
    assert (name, parameters, place) == ("saw", {"teeth": 3}, "own_tools:Saw")
    assert identity(loaded(folder, "Saw", teeth=3))[-1] == code
    sys.modules.pop("own_tools")
    (folder / "own_tools.py").write_text(MODULE.replace("return self.teeth", "return 2"))
    assert identity(loaded(folder, "Saw", teeth=3))[-1] != code


def test_bases_elsewhere_count_as_code(folder: Path) -> None:
    (folder / "more_tools.py").write_text(
        "from dataclasses import dataclass\nimport own_tools\n\n\n"
        "@dataclass(frozen=True)\nclass Mine(own_tools.Saw):\n    name = 'mine'\n"
    )
    try:
        wanted = PartSection.model_validate({"load": "more_tools:Mine"})
        before = identity(TOOLS.find(wanted, folder))
        sys.modules.pop("own_tools")
        sys.modules.pop("more_tools")
        (folder / "own_tools.py").write_text(MODULE + "\n# changed\n")
        assert identity(TOOLS.find(wanted, folder)) != before
    finally:
        sys.modules.pop("more_tools", None)


def test_code_that_is_nowhere_cannot_be_told_from_other_code() -> None:
    space: dict[str, Any] = {"Tool": Tool, "dataclass": dataclass, "__name__": "nowhere"}
    exec(  # as at a prompt
        "@dataclass(frozen=True)\nclass Typed(Tool):\n    name = 'typed'\n    size = 1\n"
        "    def use(self):\n        return 0\n",
        space,
    )
    with pytest.raises(PlanError) as caught:
        identity(space["Typed"]())
    assert "Typed: its code is in no file" in message(caught)


def test_the_record_says_where_a_part_is_from(folder: Path) -> None:
    saw = loaded(folder, "Saw", teeth=3)
    assert words_of(saw) == {"load": "own_tools:Saw", "teeth": 3}
