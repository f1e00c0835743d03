"""Opening the lab in a browser without telling everybody on the machine how."""

from __future__ import annotations

import tempfile
import webbrowser
from contextlib import suppress
from pathlib import Path

from darkroom.files import write_private
from darkroom.lab.protection import OneTimeCodes

REDIRECT = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Darkroom lab</title>
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url={address}"></head>
<body><p><a href="{address}">Darkroom's lab</a></p></body></html>
"""


def open_browser(server: str, codes: OneTimeCodes) -> Path | None:
    """Opens the lab in the system's browser, by a file that its owner alone can read.

    What a browser is started with, everybody on the machine may read. So that is the path of a
    file, which leads on with a code that is good for one use, and is gone when it was used.

    Args:
        server: The lab's address, without a path.
        codes: Where codes come from.

    Returns:
        The folder of the file, which is removed when the code was used; ``None`` where no browser
        can be opened.
    """
    folder = Path(tempfile.mkdtemp(prefix="darkroom-lab-"))  # for its owner alone
    page = folder / "open.html"

    def used() -> None:
        with suppress(OSError):
            page.unlink()
            folder.rmdir()

    code = codes.give(used)
    write_private(page, REDIRECT.format(address=f"{server}/?code={code}").encode())
    if webbrowser.open(page.as_uri()):
        return folder
    codes.use_up(code)
    return None
