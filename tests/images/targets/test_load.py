"""Models by import path, and weights from files that cannot run code."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import pickle
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from darkroom.errors import TargetError
from darkroom.images.targets.load import load_target
from darkroom.images.targets.torch import TorchTarget
from darkroom.vision.networks.modules import load_module

SHAPE = (1, 2, 3)

MODULE = """\
import torch
from torch import nn

number = 3


def build():
    return nn.Sequential(nn.Flatten(), nn.Linear(6, 2))


def probabilities():
    return nn.Sequential(build(), nn.Softmax(dim=1))


def late():
    import loaded_late

    return build()


def failing():
    raise RuntimeError("no such\\nlayer")


def leaving():
    raise SystemExit(3)


def tensor():
    return torch.zeros(2)


def demanding(path):
    return build()
"""


class Malicious:
    """Creates a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return os.open, (str(self.file), os.O_CREAT)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "loaded.py").write_text(MODULE)
    (tmp_path / "loaded_late.py").write_text("")
    (tmp_path / "loaded_broken.py").write_text("def build(:\n")
    (tmp_path / "loaded_raising.py").write_text("raise ValueError('not\\ntoday')\n")
    (tmp_path / "loaded_needy.py").write_text("import no_such_library\n")
    before = list(sys.path)
    yield tmp_path
    assert sys.path == before
    for name in [name for name in sys.modules if name.startswith("loaded")]:
        del sys.modules[name]


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    return {"1.weight": torch.arange(12.0).view(2, 6), "1.bias": torch.tensor([1.0, -1.0])}


def message_of(load: str, folder: Path, weights: Path | None = None) -> str:
    with pytest.raises(TargetError) as caught:
        load_module(load, weights, folder=folder)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_an_import_path_gives_a_target(folder: Path) -> None:
    target = load_target("loaded:build", SHAPE, value_range=(-1.0, 1.0), folder=folder)
    assert target.classes == 2
    assert target.name == "loaded:build"
    assert (target.spec.low, target.spec.high) == (-1.0, 1.0)


def test_the_working_folder_is_looked_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert isinstance(load_module("loaded:build"), nn.Module)


def test_a_module_beside_the_plan_may_be_imported_late(folder: Path) -> None:
    assert isinstance(load_module("loaded:late", folder=folder), nn.Module)


def test_declarations_are_checked(folder: Path) -> None:
    with pytest.raises(TargetError, match="returns probabilities"):
        load_target("loaded:probabilities", SHAPE, folder=folder)
    assert load_target("loaded:probabilities", SHAPE, outputs="probabilities", folder=folder)


@pytest.mark.parametrize(
    ("load", "expected"),
    [
        ("no_such_module:build", "cannot import no_such_module"),
        ("loaded.inner:build", "cannot import loaded.inner"),
        ("loaded", "give an import path such as mymodels:face_net"),
        ("loaded:", "give an import path"),
        (":build", "give an import path"),
        (".loaded:build", "cannot import .loaded"),
        ("loaded:nothing", "loaded has no callable nothing"),
        ("loaded:number", "loaded has no callable number"),
        ("loaded:failing", "calling it failed (RuntimeError: no such layer)"),
        ("loaded:leaving", "calling it failed (SystemExit: 3)"),
        ("loaded:demanding", "it is called without arguments"),
        ("loaded:tensor", "it returned Tensor, not a torch.nn.Module"),
        ("loaded_broken:build", "cannot import loaded_broken"),
        ("loaded_raising:build", "cannot import loaded_raising (ValueError: not today)"),
        ("loaded_needy:build", "No module named 'no_such_library'"),
        ("model.pt", "no such file: check [target] load"),
        ("folder/model.safetensors", "a file of weights alone is no model"),
        ("model.pkl", "a file of weights alone is no model"),
        ("last.ckpt", "a file of weights alone is no model"),
        ("faces.keras", "docs/how-to/keras-and-jax.md shows how"),
        ("faces.onnx", 'set [target] kind = "onnx"'),
        ("faces.skops", 'set [target] kind = "sklearn"'),
    ],
)
def test_a_model_that_cannot_be_had(folder: Path, load: str, expected: str) -> None:
    message = message_of(load, folder)
    assert message.startswith(load)
    assert expected in message


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth"])
def test_weights_fill_the_model(folder: Path, state: dict[str, torch.Tensor], suffix: str) -> None:
    file = folder / f"weights{suffix}"
    if suffix == ".safetensors":
        save_file(state, file)
    else:
        torch.save(state, file)
    model = load_module("loaded:build", file, folder=folder)
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


def _pickled(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["model.pt", "model.pth"])
@pytest.mark.parametrize("plain", [True, False])
def test_a_pickle_is_refused_and_never_run(
    folder: Path, state: dict[str, torch.Tensor], name: str, plain: bool
) -> None:
    touched = folder / "touched"
    evil = {**state, "1.extra": Malicious(touched)}
    (folder / name).write_bytes(pickle.dumps(evil) if plain else _pickled(evil))
    message = message_of("loaded:build", folder, folder / name)
    assert "Darkroom never unpickles" in message
    assert not touched.exists()
    os.close(pickle.loads(pickle.dumps(Malicious(touched))))
    assert touched.exists(), "the object would have done harm"


def test_a_whole_model_in_a_pickle_is_refused(folder: Path) -> None:
    torch.save(nn.Linear(6, 2), folder / "model.pt")
    assert "never unpickles" in message_of("loaded:build", folder, folder / "model.pt")


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.6, 0.9, 0.99])
def test_a_truncated_file(
    folder: Path, state: dict[str, torch.Tensor], suffix: str, share: float
) -> None:
    whole = folder / f"whole{suffix}"
    if suffix == ".safetensors":
        save_file(state, whole)
    else:
        torch.save(state, whole)
    content = whole.read_bytes()
    cut = folder / f"cut{suffix}"
    cut.write_bytes(content[: int(share * len(content))])
    assert str(cut) in message_of("loaded:build", folder, cut)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize("seed", range(8))
def test_a_file_of_noise(folder: Path, suffix: str, seed: int) -> None:
    file = folder / f"noise{suffix}"
    file.write_bytes(np.random.default_rng(seed).bytes(200))
    assert str(file) in message_of("loaded:build", folder, file)


def test_a_damaged_pickle_in_a_sound_archive_is_read_or_refused(
    folder: Path, state: dict[str, torch.Tensor]
) -> None:
    torch.save(state, folder / "whole.pt")
    for position in range(2, 60, 3):
        damaged = folder / f"damaged-{position}.pt"
        with (
            zipfile.ZipFile(folder / "whole.pt") as sound,
            zipfile.ZipFile(damaged, "w") as archive,
        ):
            for item in sound.namelist():
                content = bytearray(sound.read(item))
                if item.endswith("data.pkl"):
                    content[position] ^= 0x5A
                archive.writestr(item, bytes(content))
        with contextlib.suppress(TargetError):
            load_module("loaded:build", damaged, folder=folder)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"1.weight": torch.zeros(2, 6)}, "does not fit the model"),
        # What is missing is told by itself, without the name of a wrapper before each key.
        ({"module.1.weight": torch.zeros(2, 6)}, 'Missing key(s) in state_dict: "1.bias".'),
        ({"1.weight": torch.zeros(2, 7), "1.bias": torch.zeros(2)}, "size mismatch"),
        ({"0.weight": torch.zeros(2, 6), "1.bias": torch.zeros(2)}, "does not fit the model"),
        ({1: torch.zeros(2, 6)}, "does not fit the model"),
        ({"1.weight": 3, "1.bias": torch.zeros(2)}, "does not fit the model"),
        ({"epoch": 3, "model": {"1.weight": torch.zeros(2, 6)}}, "does not fit the model"),
        ([torch.zeros(2, 6)], "holds no state dict"),
        (torch.zeros(2, 6), "holds no state dict"),
    ],
)
def test_weights_that_do_not_fit(folder: Path, state: object, expected: str) -> None:
    torch.save(state, folder / "model.pt")
    assert expected in message_of("loaded:build", folder, folder / "model.pt")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("none.pt", "no such file of weights"), ("model.onnx", "must be .safetensors")],
)
def test_a_file_that_is_no_weights(folder: Path, name: str, expected: str) -> None:
    (folder / "model.onnx").write_bytes(b"")
    assert expected in message_of("loaded:build", folder, folder / name)


@pytest.mark.parametrize("suffix", [".ckpt", ".pth.tar", ".bin", ".pt"])
@pytest.mark.parametrize(
    "written",
    [
        lambda state: {"state_dict": state, "epoch": 3, "args": argparse.Namespace(lr=0.1)},
        lambda state: {"model": state, "best": np.float64(0.9), "optimizer": {"state": {}}},
        lambda state: {f"module._orig_mod.{key}": value for key, value in state.items()},
        lambda state: {
            "pytorch-lightning_version": "2.5",
            "hyper_parameters": {"lr": 0.1},
            "state_dict": {f"model.{key}": value for key, value in state.items()}
            | {"loss.weight": torch.ones(2)},
        },
        lambda state: {"model": state, "ema": state},
        lambda state: {key[2:]: value for key, value in state.items()},
    ],
)
def test_checkpoints_as_training_scripts_write_them(
    folder: Path, state: dict[str, torch.Tensor], suffix: str, written: Callable[..., object]
) -> None:
    file = folder / f"checkpoint{suffix}"
    torch.save(written(state), file)
    model = load_module("loaded:build", file, folder=folder)
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


def test_two_sets_of_weights_are_not_chosen_from(
    folder: Path, state: dict[str, torch.Tensor]
) -> None:
    other = {key: value + 1 for key, value in state.items()}
    torch.save({"model": state, "model_ema": other}, folder / "both.pth")
    message = message_of("loaded:build", folder, folder / "both.pth")
    assert "weights that differ under 'model' and 'model_ema'" in message


def test_what_a_checkpoint_holds_beside_tensors_is_named(
    folder: Path, state: dict[str, torch.Tensor]
) -> None:
    torch.save({"state_dict": state, "config": Malicious(folder / "x")}, folder / "model.ckpt")
    message = message_of("loaded:build", folder, folder / "model.ckpt")
    assert ".open)" in message
    assert "save model.state_dict() as .safetensors" in message


def _written(kind: str, module: nn.Module, folder: Path) -> str:
    """Writes a whole model with its code; returns the file."""
    image = torch.zeros(1, *SHAPE)
    if kind == "traced":
        torch.jit.trace(module, image).save(folder / "model.pt")  # type: ignore[no-untyped-call]
        return str(folder / "model.pt")
    if kind == "frozen":
        torch.jit.freeze(torch.jit.script(module.eval())).save(folder / "model.ts")
        return str(folder / "model.ts")
    any_batch = ({0: torch.export.Dim("batch")},) if kind == "exported" else None
    two = torch.zeros(2, *SHAPE) if any_batch else image
    program = torch.export.export(module.eval(), (two,), dynamic_shapes=any_batch)
    torch.export.save(program, folder / "model.pt2")
    return str(folder / "model.pt2")


@pytest.mark.medium
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("kind", ["traced", "frozen", "exported", "of one"])
def test_a_whole_model_in_a_file_is_run_where_it_is_trusted(folder: Path, kind: str) -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(6, 2))
    expected = TorchTarget(module, SHAPE)
    file = _written(kind, module, folder)
    images = np.random.default_rng(0).random((5, *SHAPE), np.float32)
    with pytest.raises(TargetError, match="runs code of whoever made it"):
        load_target(file, SHAPE)
    target = load_target(file, SHAPE, trusted=True)
    np.testing.assert_allclose(target.scores(images), expected.scores(images), atol=1e-6)
    assert target.fingerprint() != load_target("loaded:build", SHAPE, folder=folder).fingerprint()


def test_weights_are_no_whole_model(folder: Path, state: dict[str, torch.Tensor]) -> None:
    torch.save(state, folder / "weights.pt")
    message = message_of(str(folder / "weights.pt"), folder)
    assert "where it holds weights alone, set load" in message


def _said(load: Callable[[], object]) -> str:
    """Returns the line that refuses a file, or nothing where it is read."""
    try:
        load()
    except TargetError as error:
        return str(error)
    return ""


def _torn(whole: bytes, count: int) -> Iterator[bytes]:
    """Yields what is left of a file that was cut, or of which some bytes were changed."""
    rng = np.random.default_rng(len(whole))
    for place in rng.integers(len(whole), size=count):
        yield whole[:place]
        changed = bytearray(whole)
        for at in rng.integers(len(whole), size=int(rng.integers(1, 4))):
            changed[at] = rng.integers(256)
        yield bytes(changed)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
def test_a_torn_file_of_weights_is_read_or_refused_in_a_line(
    folder: Path, state: dict[str, torch.Tensor], suffix: str
) -> None:
    whole, file = folder / f"whole{suffix}", folder / f"torn{suffix}"
    if suffix == ".safetensors":
        save_file(state, whole)
    else:
        torch.save(state, whole, _use_new_zipfile_serialization=suffix == ".pt")
    for content in _torn(whole.read_bytes(), 60):
        file.write_bytes(content)
        assert "\n" not in _said(lambda: load_module("loaded:build", file, folder=folder))


@pytest.mark.filterwarnings("ignore")
def test_a_torn_program_is_read_or_refused_in_a_line(folder: Path) -> None:
    file = Path(_written("traced", nn.Sequential(nn.Flatten(), nn.Linear(6, 2)), folder))
    for content in _torn(file.read_bytes(), 20):
        file.write_bytes(content)
        assert "\n" not in _said(lambda: load_target(str(file), SHAPE, trusted=True))
