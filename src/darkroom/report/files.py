"""Reading the files of a run folder, with errors a person can act on."""

from __future__ import annotations

from pathlib import Path

from darkroom.errors import RunError


def read_text(path: Path) -> str:
    """Reads a UTF-8 file of a run folder.

    Raises:
        RunError: If the file is missing or unreadable.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise RunError(
            f"{path} is missing: finish the run with darkroom audit PLAN.toml --resume"
        ) from error
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise damaged(path, "it is not UTF-8 text") from error


def damaged(path: Path, why: str) -> RunError:
    """Returns the error for a file whose content is unusable, on one line.

    Args:
        path: The file.
        why: What is wrong with it; only its beginning is kept.
    """
    reason = " ".join(why.split())
    short = reason if len(reason) <= 200 else f"{reason[:200]}…"
    return RunError(
        f"{path} is damaged: {short}; delete it and run darkroom audit PLAN.toml --resume"
    )
