"""Reading a folder with the ``transformers`` library, offline and without running its code."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from darkroom.errors import MissingExtraError, TargetError
from darkroom.text.targets.adapters import CONFIG
from darkroom.text.targets.loading import Loading, head_of
from darkroom.text.targets.options import LoadOptions


def _require_weights(folder: Path) -> None:
    """Refuses a folder without a configuration, or without weights that are safe to read.

    Raises:
        TargetError: As above.
    """
    if not (folder / "config.json").is_file():
        raise TargetError(
            f"{folder}: no config.json: give the local folder that save_pretrained wrote; "
            "nothing is downloaded"
        )
    if not any(folder.glob("*.safetensors")):
        raise TargetError(
            f"{folder}: no .safetensors; Darkroom never unpickles: save the model again with "
            "save_pretrained"
        )


def read_folder(base: Path, words: Path, options: LoadOptions) -> tuple[Any, Any, Loading]:
    """Loads a model, its tokenizer, and what was not found of it.

    Args:
        base: The model's folder.
        words: Where a tokenizer is looked for first.
        options: How it is read.

    Raises:
        MissingExtraError: If ``transformers`` or another library for it is not installed.
        TargetError: If there is no model whose weights are safe to read.
    """
    _require_weights(base)
    try:
        import transformers
    except ImportError as error:
        raise MissingExtraError("transformers", "text") from error
    offline: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    if options.tokenizer is None and not (words / "tokenizer.json").is_file():
        words = base
    _require_words(options.tokenizer or words)
    with quiet(), _without_adapter(base) as place:
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            options.tokenizer or words, **offline
        )
        configuration = transformers.AutoConfig.from_pretrained(place, **offline)
        model_class = _head(configuration, base)
        model, report = model_class.from_pretrained(
            place,
            config=configuration,
            use_safetensors=True,
            output_loading_info=True,
            **options.of_library(),
            **offline,
        )
        _require_near(model, base)
        _make_room(model, tokenizer, base, words)
    return model, tokenizer, Loading.of(model, report, configuration)


def _head(configuration: Any, base: Path) -> Any:
    try:
        return head_of(configuration)
    except TargetError as error:
        raise TargetError(f"{base}: {error}") from None


def _require_words(folder: Path) -> None:
    """Refuses a folder without a tokenizer, for which the library would make one up.

    Raises:
        TargetError: As above.
    """
    begin = ("tokenizer.", "vocab", "spiece", "sentencepiece", "merges")
    if not any(path.name.startswith(begin) for path in folder.iterdir() if path.is_file()):
        raise TargetError(
            f"{folder}: no tokenizer.json: save the model's tokenizer there with save_pretrained, "
            "or set [target] tokenizer to the folder that has it"
        )


def _require_near(model: Any, base: Path) -> None:
    """Refuses a model of which some weights stay on disk.

    Raises:
        TargetError: As above.
    """
    if any(weight.is_meta for weight in model.parameters()):
        raise TargetError(
            f"{base}: [target] device_map leaves weights on disk, where nothing reads them: name "
            "devices with room for all of them"
        )


def _make_room(model: Any, tokenizer: Any, base: Path, words: Path) -> None:
    """Gives words that came with an adapter their rows, which the adapter fills."""
    rows = model.get_input_embeddings().weight.shape[0]
    if words != base and len(tokenizer) > rows:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)


@contextmanager
def _without_adapter(folder: Path) -> Iterator[Path]:
    """Shows a folder without the adapter in it, which the library would apply in its own way."""
    if not (folder / CONFIG).is_file():
        yield folder
        return
    with tempfile.TemporaryDirectory() as shown:
        for path in folder.iterdir():
            if not path.name.startswith("adapter_"):
                (Path(shown) / path.name).symlink_to(path.resolve())
        yield Path(shown)


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps the library from drawing progress bars of its own."""
    from transformers import utils

    logging: Any = utils.logging  # untyped
    shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()
