"""Where a running attack waits."""

from __future__ import annotations

import threading

import pytest

from darkroom.lab.live.gate import Gate, Stopped


class Asking:
    """A thread that asks batch after batch."""

    def __init__(self, gate: Gate) -> None:
        self.gate, self.asked, self.moved = gate, 0, threading.Semaphore(0)
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()

    def _work(self) -> None:
        try:
            while True:
                self.gate.charged(self.asked + 1)
                self.asked += 1
                self.moved.release()
                if self.asked >= 1000:
                    return
        except Stopped:
            return

    def moves(self) -> bool:
        return self.moved.acquire(timeout=0.05)


def test_a_paused_attack_asks_nothing_and_goes_on_later() -> None:
    gate = Gate()
    gate.pause()
    asking = Asking(gate)
    assert not asking.moves()
    gate.resume()
    asking.thread.join(5)
    assert asking.asked == 1000


def test_a_step_lets_one_batch_through() -> None:
    gate = Gate()
    gate.pause()
    asking = Asking(gate)
    for steps in (1, 2):
        gate.step()
        assert asking.moves()
        assert not asking.moves()
        assert asking.asked == steps
    gate.stop()
    asking.thread.join(5)
    assert not asking.thread.is_alive()


def test_a_stopped_attack_ends_also_while_it_waits_and_while_it_only_computes() -> None:
    gate = Gate()
    gate.pause()
    asking = Asking(gate)
    gate.stop()
    asking.thread.join(5)
    assert (asking.asked, asking.thread.is_alive()) == (0, False)
    with pytest.raises(Stopped):
        gate.check()


def test_the_slow_pace_takes_as_long_as_it_is_told() -> None:
    gate = Gate()
    gate.slow_down(0.01)
    asking = Asking(gate)
    asking.thread.join(0.2)
    assert asking.thread.is_alive()
    assert 1 <= asking.asked <= 22
    gate.stop()
    asking.thread.join(5)
    assert not asking.thread.is_alive()
