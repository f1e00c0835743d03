"""The panel on the Database of Faces, against a net that was trained on other photos of it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from darkroom.images.false_positives import false_positive_rates
from darkroom.images.targets.torch import TorchTarget
from darkroom.vision.judges.accuracy import judge_accuracy
from darkroom.vision.judges.panel import Panel


def _faces(path: Path) -> NDArray[np.float32]:
    with np.load(path) as stored:
        faces: NDArray[np.float32] = stored["images"][:, :, None].astype(np.float32) / 255
    return faces


def _net(photos: NDArray[np.float32], people: NDArray[np.int64]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = [nn.AvgPool2d(2), nn.Conv2d(1, 16, 5, 2, 2), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1)]
        net = nn.Sequential(*layers, nn.ReLU(), nn.Flatten(), nn.Linear(32 * 14 * 12, 20))
        optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
        images, labels = torch.from_numpy(photos), torch.from_numpy(people)
        for _ in range(40):
            order = torch.randperm(len(images))
            for start in range(0, len(images), 20):
                batch = order[start : start + 20]
                optimiser.zero_grad()
                loss = nn.functional.cross_entropy(net(images[batch]), labels[batch])
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
    return net


@pytest.mark.slow
def test_the_panel_knows_people_and_is_not_fooled_by_noise(
    real_data: Callable[[str], Path],
) -> None:
    faces = _faces(real_data("att_faces.npz"))
    trained, held_out = faces[:20, :7].reshape(-1, 1, 112, 92), faces[:20, 7:]
    people = np.repeat(np.arange(20), 7)
    panel = Panel.fit(
        held_out.reshape(-1, 1, 112, 92),
        np.repeat(np.arange(20), 3),
        public_images=faces[20:].reshape(-1, 1, 112, 92),
        public_people=np.repeat(np.arange(20), 10),
        seed=0,
    )
    accuracy = judge_accuracy(panel, trained, people)
    assert accuracy.panel.hits >= 0.92 * 140
    assert min(judge.hits for judge in accuracy.judges) >= 0.88 * 140
    target = TorchTarget(_net(trained, people), (1, 112, 92))
    rates = false_positive_rates(panel, target, trained, people, goals=np.arange(20), seed=0)
    assert rates.noise.trials >= 50
    assert rates.noise.hits <= 0.05 * rates.noise.trials
    assert rates.adversarial.hits <= 0.05 * rates.adversarial.trials
    assert rates.others.hits <= 0.02 * rates.others.trials
