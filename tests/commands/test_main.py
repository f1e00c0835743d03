"""The command line: what it prints, where, and with which exit status."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from jsonschema import Draft202012Validator  # type: ignore[import-untyped,unused-ignore]
from PIL import Image

from darkroom.commands.main import main
from darkroom.report import load_schema


class Finished(NamedTuple):
    """What one call of the command line left behind."""

    status: int
    out: str
    err: str


Call = Callable[..., Finished]


@pytest.fixture
def darkroom(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Calls the command line in this process."""

    def call(*arguments: str) -> Finished:
        monkeypatch.setattr(sys, "argv", ["darkroom", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_of:
            main()
        assert isinstance(exit_of.value.code, int)
        return Finished(exit_of.value.code, *capsys.readouterr())

    return call


def edit(folder: Path, old: str, new: str) -> None:
    text = (folder / "plan.toml").read_text()
    assert old in text
    (folder / "plan.toml").write_text(text.replace(old, new))


def add_module(folder: Path, forward: str) -> None:
    """Puts a model of the right size before the plan's, whose answers go through ``forward``."""
    (folder / "other_model.py").write_text(
        "import torch\nfrom torch import nn\n\n"
        "class Other(nn.Sequential):\n"
        "    def forward(self, images):\n"
        "        answers = super().forward(images)\n"
        f"        return {forward}\n\n"
        "def build():\n"
        "    return Other(nn.Flatten(), nn.Linear(256, 6))\n"
    )
    edit(folder, "tiny_model:build", "other_model:build")


def save_folder(folder: Path, photos: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Path:
    for person, rows in enumerate(photos):
        place = folder / "photos" / f"person-{person}"
        place.mkdir(parents=True)
        for number, row in enumerate(rows):
            Image.fromarray((255 * row).astype(np.uint8)).save(place / f"{number}.png")
    edit(folder, "people.npz", "photos")
    return folder / "photos"


@pytest.fixture(autouse=True)
def forget_modules() -> Iterator[None]:
    yield
    sys.modules.pop("other_model", None)


@pytest.mark.medium
def test_a_whole_audit(darkroom: Call, plan_folder: Path) -> None:
    done = darkroom("audit", "plan.toml")
    assert done.status == 0
    run = plan_folder / "runs" / "tiny"
    assert "runs/tiny/report.html" in done.out
    assert "runs/tiny/results.json" in done.out
    results = json.loads((run / "results.json").read_text())
    Draft202012Validator(load_schema()).validate(results)
    assert [cell["prior"] for cell in results["cells"]] == ["mean", "eigenfaces"]
    assert all(cell["goals"] == 6 for cell in results["cells"])
    stages = [line for line in done.err.splitlines() if line.strip()]
    assert len(stages) == 9
    assert (run / "plan.toml").read_text() == (plan_folder / "plan.toml").read_text()

    again = darkroom("audit", "plan.toml")
    assert again.status == 2
    assert "a run is there already: go on with --resume" in again.err

    resumed = darkroom("audit", "plan.toml", "--resume", "--json")
    assert resumed.status == 0
    assert json.loads(resumed.out) == results
    assert not any(stage in resumed.err for stage in ("judges", "Attack"))

    before = (run / "results.json").read_bytes()
    (run / "report.html").unlink()
    (run / "results.json").unlink()
    reported = darkroom("report", "runs/tiny")
    assert reported.status == 0
    assert reported.err == ""
    assert (run / "results.json").read_bytes() == before
    assert (run / "report.html").stat().st_size > 10_000
    assert json.loads(darkroom("report", "runs/tiny", "--json").out) == results


@pytest.mark.medium
def test_photos_from_a_folder_and_a_range_of_their_own(
    darkroom: Call,
    plan_folder: Path,
    private_photos: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
) -> None:
    save_folder(plan_folder, private_photos)
    edit(plan_folder, 'images = "strangers.npz"', 'images = "bytes.npz"')
    np.savez(plan_folder / "bytes.npz", images=(private_photos * 255).astype(np.uint8))
    edit(plan_folder, "shape =", "range = [-1.0, 1.0]\nshape =")
    edit(plan_folder, "[limit]", '[check]\nignore = ["accuracy", "duplicates"]\n\n[limit]')
    done = darkroom("audit", "plan.toml", "--json")
    assert done.status == 0
    with np.load(next(plan_folder.glob("runs/tiny/cells/*/reconstructions.npz"))) as archive:
        assert archive["images"].min() < 0


@pytest.mark.medium
def test_exit_status_tells_of_a_leak_above_the_limit(darkroom: Call, audited_folder: Path) -> None:
    plan = (audited_folder / "plan.toml").read_text()
    for low, stands_out, limit, status in [
        (0.3, 1.0, "[limit]\nadvantage = 0.05", 1),
        (0.3, 1.0, "[limit]\nadvantage = 0.4", 0),
        (0.3, 1.0, "[limit]\nadvantage = 0.3", 0),
        (0.3, 1.0, "", 1),
        (0.0, 1.0, "", 0),
        (0.0, 0.04, "", 0),  # not among two cells
        (0.0, 0.01, "", 1),
        (0.0, 0.01, "[limit]\nworst_off = false", 0),
        (-0.2, 1.0, "[limit]\nadvantage = 0.0", 0),
    ]:
        (audited_folder / "plan.toml").write_text(plan.replace("[limit]\nadvantage = 0.05", limit))
        # The last cell alone leaks.
        for file, least in zip(_cells(audited_folder), (-0.5, low), strict=True):
            cell = json.loads(file.read_text())
            cell["advantage"] = {"estimate": 0.5, "low": least, "high": 0.9}
            cell["details"]["worst_off"]["p_adjusted"] = stands_out
            cell["success"] = {"estimate": 1.0, "low": 0.5, "high": 1.0}
            for name in ("noise", "adversarial", "others"):
                never = {"estimate": 0.0, "low": 0.0, "high": 0.02, "n": 200, "tried": 200}
                cell["details"]["judges"][f"false_positive_{name}"] = never
            file.write_text(json.dumps(cell))
        found = darkroom("audit", "plan.toml", "--resume", "--fail-on-leak")
        assert found.status == status, (low, limit)
        if limit == "" and low > 0:  # a leak, of which nobody wants to know
            assert darkroom("audit", "plan.toml", "--resume").status == 0


def _cells(folder: Path) -> list[Path]:
    """Returns the cells of the plan's run, in the plan's order."""
    run = folder / "runs" / "tiny"
    keys = json.loads((run / "run.json").read_text())["cells"]
    return [run / "cells" / key / "cell.json" for key in keys]


@pytest.mark.medium
def test_a_budget_too_small_to_learn_anything(darkroom: Call, plan_folder: Path) -> None:
    edit(plan_folder, 'prior = "eigenfaces"', 'prior = "eigenfaces"\nbudget = 1')
    done = darkroom("audit", "plan.toml", "--json")
    assert done.status == 0
    poor = json.loads(done.out)["cells"][1]
    assert poor["queries"] == {"per_goal_median": 1, "total": 6}
    assert 0 < poor["confidence"]["median"] < 1


def not_there(folder: Path) -> None:
    (folder / "plan.toml").unlink()


def no_toml(folder: Path) -> None:
    (folder / "plan.toml").write_text("[run\n")


def unknown_key(folder: Path) -> None:
    edit(folder, "shape =", "shap =")


def unknown_attack(folder: Path) -> None:
    edit(folder, 'name = "gradient"\nsteps', 'name = "gradinet"\nsteps')


def unknown_prior(folder: Path) -> None:
    edit(folder, "eigenfaces", "eigenface")


def unknown_parameter(folder: Path) -> None:
    edit(folder, 'name = "gradient"\nsteps', 'name = "gradient"\nstep')


def parameter_out_of_range(folder: Path) -> None:
    edit(folder, 'name = "gradient"\nsteps = 12', 'name = "gradient"\nsteps = 0')


def same_attack_twice(folder: Path) -> None:
    edit(folder, 'prior = "eigenfaces"\n', 'prior = "mean"\n')


def unknown_defence(folder: Path) -> None:
    edit(folder, "[limit]", '[[defense]]\nname = "roundin"\n\n[limit]')


def defence_and_chain(folder: Path) -> None:
    edit(folder, "[limit]", '[[defense]]\nchain = [{name = "noise"}]\nk = 3\n\n[limit]')


def wrong_shape(folder: Path) -> None:
    edit(folder, "[1, 16, 16]", "[1, 16, 15]")


def no_shape(folder: Path) -> None:
    edit(folder, "[1, 16, 16]", "[2, 16, 16]")


def photos_of_another_shape(folder: Path) -> None:
    np.savez(folder / "people.npz", images=np.zeros((6, 6, 8, 8)))


def bytes_as_floats(folder: Path) -> None:
    with np.load(folder / "people.npz") as archive:
        images = archive["images"] * 255
    np.savez(folder / "people.npz", images=images)


def public_bytes_as_floats(folder: Path) -> None:
    np.savez(folder / "strangers.npz", images=np.full((3, 2, 16, 16), 128.0))


def probabilities(folder: Path) -> None:
    add_module(folder, "answers.softmax(1)")


def logits(folder: Path) -> None:
    edit(folder, "shape =", 'outputs = "probabilities"\nshape =')


def not_a_number(folder: Path) -> None:
    add_module(folder, "answers * float('nan')")


def not_a_number_later(folder: Path) -> None:
    # Black and grey, which are asked first, have no contrast.
    add_module(folder, "answers / (images.flatten(1).std(1) < 1e-6).float()[:, None] - answers")


def single_output(folder: Path) -> None:
    add_module(folder, "answers[:, :1]")


def too_few_classes(folder: Path) -> None:
    add_module(folder, "answers[:, :5]")


def single_person(folder: Path) -> None:
    edit(folder, 'trained_on = "0:4"', 'trained_on = "0:4"\npeople = "0:1"')


def single_photo(folder: Path) -> None:
    np.savez(folder / "people.npz", images=np.random.default_rng(0).random((6, 1, 16, 16)))


def trained_on_nothing(folder: Path) -> None:
    edit(folder, '"0:4"', '"7:9"')


def no_photos(folder: Path) -> None:
    (folder / "people.npz").unlink()


def photo_that_is_no_image(folder: Path) -> None:
    with np.load(folder / "people.npz") as archive:
        photos = save_folder(folder, archive["images"])
    (photos / "person-3" / "x.png").write_text("not a photo")


def empty_folder(folder: Path) -> None:
    (folder / "photos").mkdir()
    edit(folder, "people.npz", "photos")


def pickled_photos(folder: Path) -> None:
    np.savez(folder / "people.npz", images=np.array([{}], dtype=object))


def pickled_weights(folder: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), folder / "weights.pt")
    edit(folder, "weights.safetensors", "weights.pt")


def no_weights(folder: Path) -> None:
    (folder / "weights.safetensors").unlink()


def other_weights(folder: Path) -> None:
    torch.save({"1.weight": torch.zeros(6, 255), "1.bias": torch.zeros(6)}, folder / "weights.pt")
    edit(folder, "weights.safetensors", "weights.pt")


def no_module(folder: Path) -> None:
    (folder / "tiny_model.py").unlink()


def broken_module(folder: Path) -> None:
    (folder / "tiny_model.py").write_text("def build(:\n")


def no_public_photos(folder: Path) -> None:
    edit(folder, '[public]\nimages = "strangers.npz"\n', "")


def no_device(folder: Path) -> None:
    edit(folder, "shape =", 'device = "cuda:9"\nshape =')


def existing_run(folder: Path) -> None:
    (folder / "runs" / "tiny").mkdir(parents=True)
    (folder / "runs" / "tiny" / "run.json").write_text("{}")
    (folder / "runs" / "tiny" / ".darkroom").write_text("")


def file_in_the_way(folder: Path) -> None:
    (folder / "runs").write_text("")


@pytest.mark.medium
@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (not_there, "plan.toml: cannot be read (No such file or directory)"),
        (no_toml, "plan.toml: not valid TOML"),
        (unknown_key, "unknown key target.shap: did you mean 'shape'?"),
        (unknown_attack, "no attack is called 'gradinet': did you mean 'gradient'?"),
        (unknown_prior, "no prior is called 'eigenface': did you mean 'eigenfaces'?"),
        (unknown_parameter, "attack gradient has no parameter 'step': did you mean 'steps'?"),
        (parameter_out_of_range, "attack gradient: steps must be 1 or more"),
        (same_attack_twice, "two [[attack]] or [[defense]] entries of the plan are the same"),
        (unknown_defence, "no defence is called 'roundin': did you mean 'rounding'?"),
        (defence_and_chain, "defense.0: parameters of a chain stand in its tables"),
        (wrong_shape, "the model cannot take images of shape [1, 16, 15]"),
        (no_shape, "give [channels, height, width] with 1 or 3 channels"),
        (photos_of_another_shape, "images of shape [1, 8, 8], but the target takes [1, 16, 16]"),
        (bytes_as_floats, "but the target's range is 0 to 1: rescale"),
        (public_bytes_as_floats, "strangers.npz: values from 0 to 128"),
        (probabilities, 'set [target] outputs = "probabilities"'),
        (logits, 'set [target] outputs = "logits"'),
        (not_a_number, "the model returned NaN or infinite values"),
        (not_a_number_later, "the model returned NaN or infinite values"),
        (single_output, "the model has a single output"),
        (too_few_classes, "private photos show 6 people, but the target has 5 classes"),
        (single_person, "a judge needs at least two"),
        (single_photo, "someone has a single private photo"),
        (trained_on_nothing, "check [private] trained_on"),
        (no_photos, "people.npz: no such file or folder"),
        (photo_that_is_no_image, "x.png: not a readable image"),
        (empty_folder, "put each person's photos into one folder"),
        (pickled_photos, "people.npz: not a readable .npz without pickles"),
        (pickled_weights, "weights.pt: holds more than plain tensors"),
        (no_weights, "weights.safetensors: no such file of weights"),
        (other_weights, "weights.pt: does not fit the model"),
        (no_module, "cannot import tiny_model"),
        (broken_module, "cannot import tiny_model (SyntaxError"),
        (no_public_photos, "public photos but got 0"),
        (no_device, "device 'cuda:9' cannot be used"),
        (existing_run, "a run is there already: go on with --resume"),
        (file_in_the_way, "choose another [run] out"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_mistake_is_one_line_and_status_two(
    darkroom: Call, plan_folder: Path, spoil: Callable[[Path], None], expected: str
) -> None:
    spoil(plan_folder)
    refused = darkroom("audit", "plan.toml")
    assert refused.status == 2
    # Stages that were finished before the mistake showed are lines of their own.
    lines = [line for line in refused.err.splitlines() if "100%" not in line]
    assert len(lines) == 1, refused.err
    assert lines[0].startswith("darkroom: ")
    assert expected in lines[0]
    assert refused.out == ""


def test_mistakes_found_before_any_work_are_the_only_line(
    darkroom: Call, plan_folder: Path
) -> None:
    unknown_attack(plan_folder)
    assert len(darkroom("audit", "plan.toml").err.splitlines()) == 1


def test_a_report_of_a_run_that_is_not_whole(darkroom: Call, audited_folder: Path) -> None:
    run = audited_folder / "runs" / "tiny"
    cell = str(_cells(audited_folder)[0].relative_to(run))
    for name, content, expected in [
        (cell, None, "cell.json is missing: finish the run with"),
        (cell, "{", "cell.json is damaged"),
        ("run.json", "{", "run.json is damaged"),
        ("run.json", None, "run.json is missing"),
        ("plan.toml", None, "plan.toml is missing"),
    ]:
        before = (run / name).read_text()
        (run / name).unlink()
        if content is not None:
            (run / name).write_text(content)
        refused = darkroom("report", "runs/tiny")
        assert refused.status == 2
        assert len(refused.err.splitlines()) == 1
        assert expected in refused.err
        (run / name).write_text(before)
    assert darkroom("report", "runs/tiny").status == 0
    assert "is missing" in darkroom("report", "runs/none").err


def test_help_shows_examples(darkroom: Call) -> None:
    shown = darkroom("--help")
    assert shown.status == 0
    for line in ("darkroom demo", "darkroom audit plan.toml --resume", "darkroom report runs/"):
        assert any(printed.strip().startswith(line) for printed in shown.out.splitlines()), line
    for command in ("audit", "report", "demo", "employees"):
        assert "Example: darkroom" in darkroom(command, "--help").out


def test_version(darkroom: Call) -> None:
    assert darkroom("--version") == Finished(0, f"darkroom {metadata.version('darkroom')}\n", "")


@pytest.mark.parametrize("arguments", [["audi"], ["audit"], ["audit", "plan.toml", "--resum"]])
def test_a_command_that_is_none(darkroom: Call, arguments: list[str]) -> None:
    refused = darkroom(*arguments)
    assert refused.status == 2
    assert "Traceback" not in refused.err


def test_an_interruption_says_how_to_go_on(
    darkroom: Call, plan_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("darkroom.images.job.set_up_bench", interrupt)
    stopped = darkroom("audit", "plan.toml")
    assert stopped.status == 130
    assert stopped.err.splitlines()[-1] == "darkroom: interrupted; go on with --resume"
    monkeypatch.undo()


def test_rendering_a_folder_of_people(darkroom: Call, tmp_path: Path) -> None:
    folder = tmp_path / "faces"
    arguments = ("employees", str(folder), "--people", "2", "--photos", "1", "--size", "16")
    done = darkroom(*arguments)
    assert done.status == 0
    assert len(list(folder.glob("*/*"))) == 2
    again = darkroom(*arguments)
    assert again.status == 2
    assert "not empty" in again.err


@pytest.mark.medium
def test_the_installed_command_ends_with_one_line_and_status_two(plan_folder: Path) -> None:
    bytes_as_floats(plan_folder)
    command = [sys.executable, "-m", "darkroom", "audit", "plan.toml"]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert len(refused.stderr.splitlines()) == 1
    assert refused.stderr.startswith("darkroom: people.npz: values from")
    assert refused.stdout == ""
