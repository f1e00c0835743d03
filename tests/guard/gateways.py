"""Running a gateway, such as nginx or Envoy, in front of what a test serves."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence


@contextlib.contextmanager
def gateway(command: Sequence[str], port: int) -> Iterator[None]:
    """Runs a program until it is left; begins when it listens.

    Args:
        command: Words.
        port: On which it listens, on this machine.

    Raises:
        AssertionError: If it ends before, with what it said, or does not listen within a minute.
    """
    with subprocess.Popen(command, stderr=subprocess.PIPE) as running:
        try:
            for _ in range(3000):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                if running.poll() is not None:
                    assert running.stderr is not None
                    raise AssertionError(running.stderr.read().decode()[-2000:])
                time.sleep(0.02)
            else:
                raise AssertionError(f"{command[0]} does not listen on port {port}")
            yield
        finally:
            running.terminate()
