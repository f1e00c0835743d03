"""Draws from PyTorch's global generator are the same whatever other threads do."""

from __future__ import annotations

import threading

import torch

from darkroom.vision.randomness import OwnRandomness

TURNS = 200


def drawn(seed: int) -> list[float]:
    own, found = OwnRandomness(seed), []
    for _ in range(TURNS):
        with own():
            found.append(float(torch.rand(())))
    return found


def test_draws_go_on_where_they_were_and_leave_the_global_state() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    found = drawn(0)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(0)
    assert found == [float(torch.rand(())) for _ in range(TURNS)]
    assert len(set(found)) == TURNS


def test_threads_do_not_change_what_others_draw() -> None:
    together: dict[int, list[float]] = {}
    threads = [
        threading.Thread(target=lambda seed=seed: together.update({seed: drawn(seed)}))
        for seed in range(4)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert together == {seed: drawn(seed) for seed in range(4)}
