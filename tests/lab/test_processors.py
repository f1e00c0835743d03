"""Threads of the lab take the processors that are theirs, whoever was told before."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from darkroom.lab.live import processors
from darkroom.lab.live.processors import alone, together


def in_a_thread(call: Callable[[], int]) -> int:
    """Returns what a function returns in a thread that nobody has told anything."""
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(call()))
    thread.start()
    thread.join()
    return found[0]


@pytest.fixture(autouse=True)
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "_usual", lambda: 2)


def test_what_looks_on_computes_alone_and_what_attacks_does_not() -> None:
    before = torch.get_num_threads()
    try:
        assert in_a_thread(together(torch.get_num_threads)) == 2
        assert in_a_thread(alone(torch.get_num_threads)) == 1
        # Whoever comes after is not limited by who came before.
        assert in_a_thread(together(torch.get_num_threads)) == 2
        assert torch.get_num_threads() == before
    finally:
        torch.set_num_threads(before)


def test_a_thread_keeps_its_own_number_while_others_are_told_theirs() -> None:
    before = torch.get_num_threads()

    @together
    def attack() -> int:
        assert in_a_thread(alone(torch.get_num_threads)) == 1
        return torch.get_num_threads()

    try:
        assert in_a_thread(attack) == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.medium
def test_what_computes_while_another_imports_pytorch_waits_for_it(tmp_path: Path) -> None:
    slow = "import time\ntime.sleep(0.5)\nset_num_threads = print\nget_num_threads = lambda: 2\n"
    (tmp_path / "torch.py").write_text(slow)
    program = """
import importlib, sys, threading
from darkroom.lab.live.processors import alone
other = threading.Thread(target=importlib.import_module, args=["torch"])
other.start()
while "torch" not in sys.modules:
    pass
print(hasattr(sys.modules["torch"], "get_num_threads"))
alone(print)("computes")
other.join()
"""
    command = [sys.executable, "-c", program]  # which looks for modules where it runs
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "1", "computes"]
