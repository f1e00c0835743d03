"""Files that are there whole or not at all, for their owner alone, and folders of our own.

What a user put somewhere is never removed: only folders with our mark are cleared, and only what
has our names.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from darkroom.errors import DataError, RunError

MARK = ".darkroom"
"""A file that says that a folder was made by Darkroom."""

PARTIAL = ".darkroom-*.partial"
"""Files that an interrupted run left half written."""

_WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)


def claim(folder: Path, remedy: str) -> None:
    """Makes a folder for its owner alone, or takes up one that Darkroom made before.

    Args:
        folder: The folder; its parents are made too.
        remedy: What the user is told to do if it is not ours.

    Raises:
        RunError: If there is something else there, or the folder cannot be made.
    """
    try:
        if folder.is_symlink():
            raise RunError(f"{folder}: a link to another place, where nothing is written: {remedy}")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not is_marked(folder):
            if any(folder.iterdir()):
                raise RunError(
                    f"{folder}: not empty, and nothing that Darkroom made; nothing in it was "
                    f"touched: {remedy}"
                )
            mark(folder)
        folder.chmod(0o700)
    except OSError as error:
        raise RunError(f"{folder}: {error.strerror}: {remedy}") from error


def is_marked(folder: Path) -> bool:
    """Tells whether Darkroom made a folder."""
    file = folder / MARK
    return file.is_file() and not file.is_symlink()


def mark(folder: Path) -> None:
    """Marks a folder as made by Darkroom."""
    write_private(folder / MARK, b"Darkroom made this folder, and may clear what it wrote here.\n")


def emptied(folder: Path, remedy: str) -> None:
    """Makes a folder, or clears one that Darkroom made.

    Args:
        folder: The folder.
        remedy: What the user is told to do if it is not ours.

    Raises:
        RunError: As :func:`claim`.
    """
    claim(folder, remedy)
    try:
        for item in folder.iterdir():
            if item.name == MARK:
                continue
            if item.is_dir() and not item.is_symlink():
                shutil.rmtree(item)
            else:
                item.unlink()
    except OSError as error:
        raise RunError(f"{folder}: {error.strerror}: {remedy}") from error


def write_private(path: Path, content: bytes | memoryview) -> Path:
    """Replaces a file at once and for its owner alone: readers see the old content or the new.

    Args:
        path: Where to write; its folder exists.
        content: The whole content.

    Returns:
        ``path``.

    Raises:
        RunError: If the folder cannot be written to.
    """
    try:
        _replace(path, content)
    except OSError as error:
        raise refused(path, error) from error
    return path


def read_private(path: Path, what: str) -> str:
    """Reads a file of secrets, which its owner alone may read.

    Args:
        path: The file.
        what: What messages call it, such as ``key file``.

    Raises:
        DataError: If it is missing, no file, no UTF-8, or readable by others.
    """
    try:
        if is_special(path):
            raise DataError(f"{path}: no file, but a pipe or a device: give the {what}")
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise DataError(f"{path}: no readable {what} ({reason}): check the path") from None
    if stat.S_IMODE(mode) & 0o077:
        raise DataError(f"{path}: others can read the secrets in it: run chmod 600 {path}")
    return text


def is_special(path: Path) -> bool:
    """Tells whether a path is a pipe, a socket or a device, which may never end."""
    return path.exists() and not path.is_file() and not path.is_dir()


def refused(path: Path, error: OSError) -> RunError:
    """Returns the error for a file that the system would not write, on one line."""
    return RunError(
        f"{path}: cannot be written ({error.strerror or error}): make room or choose another "
        "[run] out, then go on with --resume"
    )


def sync_folder(folder: Path) -> None:
    """Waits until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def leased(path: Path, *, wait: bool = False) -> Iterator[int | None]:
    """Holds a lease while the block runs: a file that the system keeps locked for one process.

    It ends with the process, however that ends, so nothing has to expire. Where a file system knows
    no locks, everybody is given one.

    Args:
        path: The file; it is there for as long as the lease is held, and after a crash.
        wait: Whether to wait until whoever holds it gives it back.

    Yields:
        The open file, to write into who holds it; ``None`` where somebody else does.

    Raises:
        RunError: If the file cannot be made.
    """
    try:
        descriptor = _locked(path, wait=wait)
    except OSError as error:
        raise refused(path, error) from error
    if descriptor is None:
        yield None
        return
    try:
        yield descriptor
    finally:
        path.unlink(missing_ok=True)  # before the lock goes: whoever waits then opens another file
        os.close(descriptor)


def is_leased(path: Path) -> bool:
    """Tells whether somebody holds a lease."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return isinstance(error, BlockingIOError)
    finally:
        os.close(descriptor)
    return False


def lock(descriptor: int) -> None:
    """Waits until a file is this process's alone; does nothing where the system knows no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _WITHOUT_LOCKS:
            raise


def has_locks(folder: Path) -> bool:
    """Tells whether the file system of a folder that Darkroom marked knows locks."""
    # Asked of a file that may be written: on NFS and Lustre other locks say nothing of these.
    descriptor = os.open(folder / MARK, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _WITHOUT_LOCKS
    finally:
        os.close(descriptor)
    return True


def _locked(path: Path, *, wait: bool) -> int | None:
    """Opens a file and locks it; returns ``None`` where somebody else has."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BaseException as error:
            if not (isinstance(error, OSError) and error.errno in _WITHOUT_LOCKS):
                os.close(descriptor)
                if isinstance(error, BlockingIOError):
                    return None
                raise
        try:
            # Who held it before has removed it, and others may have made it anew.
            if os.path.samestat(os.fstat(descriptor), path.stat(follow_symlinks=False)):
                return descriptor
        except FileNotFoundError:
            pass
        os.close(descriptor)


def _replace(path: Path, content: bytes | memoryview) -> None:
    # mkstemp creates the file with mode 0600, so there is no moment when others can read it.
    descriptor, name = tempfile.mkstemp(
        prefix=f".darkroom-{path.name}-", suffix=".partial", dir=path.parent
    )
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
