"""Plans: what parses, and what is said of what does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tomli_w

from darkroom.auditing.plan import parse_slice
from darkroom.errors import PlanError
from darkroom.images.plan import ImagePlan
from darkroom.images.targets.sections import TorchSection
from darkroom.kinds import read_plan
from darkroom.sections import read_toml, toml_text

FULL = """\
[run]
name = "face-login"
seed = 3
out = "runs"
authorized_by = "name and role"

[target]
kind = "torch"
load = "mymodels:face_net"
weights = "face_net.safetensors"
shape = [1, 112, 92]
range = [-1.0, 1.0]
outputs = "probabilities"

[private]
images = "data/employees"
trained_on = "0:7"
people = "0:40"

[public]
images = "data/strangers"
resize = true

[[attack]]
name = "gradient"
prior = "eigenfaces"

[[attack]]
name = "gradient"
budget = 5000
steps = 100

[attack.prior]
name = "eigenfaces"
components = 50

[limit]
advantage = 0.05
"""

SMALL: dict[str, Any] = {
    "run": {"name": "small"},
    "target": {"load": "mymodels:face_net", "shape": [1, 8, 8]},
    "private": {"images": "people"},
    "attack": [{"name": "gradient"}],
}


def changed(*changes: tuple[str, str, Any]) -> dict[str, Any]:
    table = {key: dict(value) if isinstance(value, dict) else value for key, value in SMALL.items()}
    for section, key, value in changes:
        table.setdefault(section, {})[key] = value
    return table


def read(folder: Path, text: str) -> ImagePlan:
    (folder / "plan.toml").write_text(text)
    plan = read_plan(folder / "plan.toml")
    assert isinstance(plan, ImagePlan)
    return plan


def refused(folder: Path, text: str) -> str:
    with pytest.raises(PlanError) as caught:
        read(folder, text)
    message = str(caught.value)
    assert message.startswith(f"{folder / 'plan.toml'}: ")
    assert "\n" not in message
    return message


def test_a_full_plan(tmp_path: Path) -> None:
    plan = read(tmp_path, FULL)
    assert (plan.run.name, plan.run.seed, plan.run.out) == ("face-login", 3, Path("runs"))
    assert plan.run.authorized_by == "name and role"
    assert isinstance(plan.target, TorchSection)
    assert plan.target.shape == [1, 112, 92]
    assert (plan.target.range, plan.target.outputs) == ((-1.0, 1.0), "probabilities")
    assert (plan.private.trained_on, plan.private.people) == ("0:7", "0:40")
    assert plan.public is not None
    assert plan.public.resize
    assert plan.limit is not None
    assert plan.limit.advantage == 0.05
    first, second = plan.attack
    assert first.prior is not None
    assert second.prior is not None
    assert (first.name, first.prior.name, first.budget, first.parameters) == (
        "gradient",
        "eigenfaces",
        None,
        {},
    )
    assert (second.budget, second.parameters) == (5000, {"steps": 100})
    assert second.prior.parameters == {"components": 50}


def test_what_may_be_left_out(tmp_path: Path) -> None:
    plan = read(tmp_path, tomli_w.dumps(SMALL))
    assert (plan.run.seed, plan.run.out, plan.run.authorized_by) == (0, Path("runs"), None)
    assert isinstance(plan.target, TorchSection)
    assert (plan.target.kind, plan.target.outputs, plan.target.device) == ("torch", "logits", "cpu")
    assert plan.target.range == (0.0, 1.0)
    assert plan.target.weights is None
    assert (plan.private.trained_on, plan.private.people, plan.private.resize) == (":", None, False)
    assert (plan.public, plan.limit) == (None, None)
    assert (plan.attack[0].prior, plan.attack[0].budget) == (None, None)


def test_paths_are_beside_the_plan_and_the_output_is_not(tmp_path: Path) -> None:
    plan = read(tmp_path, FULL)
    assert isinstance(plan.target, TorchSection)
    assert plan.target.weights == tmp_path / "face_net.safetensors"
    assert plan.private.images == tmp_path / "data/employees"
    assert plan.public is not None
    assert plan.public.images == tmp_path / "data/strangers"
    assert plan.run.out == Path("runs")
    elsewhere = changed(("private", "images", "/photos"), ("target", "weights", "/w.pt"))
    plan = read(tmp_path, tomli_w.dumps(elsewhere))
    assert isinstance(plan.target, TorchSection)
    assert plan.private.images == Path("/photos")
    assert isinstance(plan.target, TorchSection)
    assert plan.target.weights == Path("/w.pt")


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (changed(("pubic", "images", "x")), "unknown key pubic: did you mean 'public'?"),
        (changed(("run", "sede", 3)), "unknown key run.sede: did you mean 'seed'?"),
        (changed(("target", "ranges", [0, 1])), "unknown key target.ranges: did you mean 'range'?"),
        (changed(("private", "train_on", ":")), "did you mean 'trained_on'?"),
        (changed(("public", "image", "x"), ("public", "images", "x")), "did you mean 'images'?"),
        (changed(("limit", "advantages", 0)), "did you mean 'advantage'?"),
        (
            changed(("run", "xyzzy", 3)),
            "Known: address, authorized_by, block, cache, engine, memory",
        ),
        (
            {**SMALL, "target": {"laod": "m:f", "shape": [1, 8, 8]}},
            "unknown key target.laod: did you mean 'load'?",
        ),
        ({**SMALL, "attacks": []}, "unknown key attacks: did you mean 'attack'?"),
        ({**SMALL, "run": {}}, "run.name is missing: add it"),
        ({**SMALL, "attack": [{"budget": 3}]}, 'attack.0: give a name, or load = "module:Class"'),
        ({**SMALL, "attack": []}, "attack: "),
        ({key: value for key, value in SMALL.items() if key != "private"}, "private is missing"),
        ({**SMALL, "run": 3}, "run: "),
        ({**SMALL, "attack": {"name": "gradient"}}, "attack: "),
        (changed(("run", "seed", "one")), "run.seed: "),
        (changed(("run", "seed", -1)), "greater than or equal to 0, got -1"),
        (changed(("run", "name", "../escape")), "run.name: "),
        (changed(("run", "name", "")), "run.name: "),
        (changed(("run", "name", ".hidden")), "run.name: "),
        (changed(("run", "name", "two\nlines")), "run.name: "),
        (changed(("target", "shape", [8, 8])), "target.shape: "),
        (changed(("target", "shape", "8x8")), "target.shape: "),
        (changed(("target", "shape", [1, 8, "8 pixels"])), "target.shape.2: "),
        (changed(("target", "range", [0.0])), "target.range"),
        (changed(("target", "outputs", "scores")), "'logits' or 'probabilities', got 'scores'"),
        (
            changed(("target", "kind", "sklern")),
            "target.kind: must be torch, sklearn, onnx, python",
        ),
        (changed(("target", "kind", "http")), "or http with protocol v2, torchserve"),
        (changed(("target", "protocol", "v2")), "unknown key target.protocol"),
        (changed(("private", "images", 3)), "private.images: "),
        (changed(("private", "trained_on", "7")), "'7' is no slice such as '0:7'"),
        (changed(("private", "trained_on", "5:5")), "'5:5' selects nothing"),
        (changed(("private", "people", "-3:")), "is no slice"),
        (changed(("private", "resize", "maybe")), "private.resize: "),
        (changed(("limit", "advantage", 5)), "less than or equal to 1, got 5"),
        ({**SMALL, "attack": [{"name": "gradient", "budget": 0}]}, "attack.0.budget: "),
        ({**SMALL, "attack": [{"name": "gradient", "prior": 3}]}, "attack.0.prior: "),
        (
            {**SMALL, "attack": [{"name": "gradient", "prior": {}}]},
            "attack.0.prior: give a name",
        ),
    ],
)
def test_mistakes_are_named_with_their_place(
    tmp_path: Path, table: dict[str, Any], expected: str
) -> None:
    assert expected in refused(tmp_path, tomli_w.dumps(table))


@pytest.mark.parametrize("text", ["[run", "name = ", 'a = "x"\na = "y"', "\x00"])
def test_a_file_that_is_no_toml(tmp_path: Path, text: str) -> None:
    assert "not valid TOML: " in refused(tmp_path, text)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_bytes(b"\xff\xfe[run]")
    with pytest.raises(PlanError, match="line 1 is no UTF-16 text: save the file as UTF-8"):
        read_plan(tmp_path / "plan.toml")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_files_from_windows_are_read(tmp_path: Path, encoding: str, ending: str) -> None:
    file = tmp_path / "plan.toml"
    file.write_bytes(ending.join(["[run]", 'name = "Jürgen"', ""]).encode(encoding))
    assert read_toml(file) == {"run": {"name": "Jürgen"}}
    assert toml_text(file) == '[run]\nname = "Jürgen"\n'


def test_other_encodings_are_named(tmp_path: Path) -> None:
    file = tmp_path / "plan.toml"
    for encoding, expected in [
        ("utf-16-le", "UTF-16 without a byte-order mark: save the file as UTF-8"),
        ("cp1252", "line 2 is no UTF-8 text: save the file as UTF-8"),
    ]:
        file.write_bytes('[run]\nname = "Jürgen"\n'.encode(encoding))
        with pytest.raises(PlanError, match=expected):
            read_toml(file)


def test_a_plan_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"none.toml: cannot be read .No such file or directory."):
        read_plan(tmp_path / "none.toml")
    with pytest.raises(PlanError, match="Is a directory"):
        read_plan(tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [(":", slice(None)), ("0:7", slice(0, 7)), ("3:", slice(3, None)), (":12", slice(None, 12))],
)
def test_slices(text: str, expected: slice) -> None:
    assert parse_slice(text) == expected


@pytest.mark.parametrize("text", ["", "7", "0:7:2", "-1:", "a:b", "0 : 7", "3:3", "5:2", ":0"])
def test_what_is_no_slice(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no slice|selects nothing"):
        parse_slice(text)


HTTP = """\
[run]
name = "api"
authorized_by = "name and role"
[target]
kind = "http"
protocol = "v2"
url = "https://models.example"
model = "faces"
shape = [1, 8, 8]
[private]
images = "people"
[[attack]]
name = "gradient"
"""


def test_a_remote_target_needs_leave(tmp_path: Path) -> None:
    assert read(tmp_path, HTTP).run.authorized_by == "name and role"
    for leave in ("", 'authorized_by = ""', 'authorized_by = "  "'):
        text = HTTP.replace('authorized_by = "name and role"', leave)
        assert 'set [run] authorized_by = "name and role"' in refused(tmp_path, text)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('modle = "faces"', "unknown key target.modle: did you mean 'model'?"),
        ("batch = 0", "target.batch: input should be greater than or equal to 1, got 0"),
        ("path = 'scores'", "unknown key target.path"),
        ('classes = ["ada"]', "target.classes"),
        ("timeout = 0", "target.timeout: "),
        ('answers = "weights"', "target.answers: "),
    ],
)
def test_mistakes_in_a_remote_target(tmp_path: Path, line: str, expected: str) -> None:
    assert expected in refused(tmp_path, HTTP.replace("[private]", f"{line}\n[private]"))


def test_a_key_in_a_plan_is_refused_and_not_shown(tmp_path: Path) -> None:
    line = 'headers = {Authorization = "Bearer sesame"}'
    message = refused(tmp_path, HTTP.replace("[private]", f"{line}\n[private]"))
    assert "a plan holds no keys" in message
    assert "sesame" not in message


def test_a_missing_key_of_a_remote_target(tmp_path: Path) -> None:
    message = refused(tmp_path, HTTP.replace('model = "faces"\n', ""))
    assert "target.model is missing" in message
