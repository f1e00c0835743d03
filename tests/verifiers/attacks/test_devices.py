"""Steps with gradients stay where the encoder is; nothing here needs a second device."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.support.elsewhere import DEVICE, Elsewhere
from tests.verifiers.conftest import SPEC, Projection

from darkroom.ledger import QueryLedger
from darkroom.verifiers.attacks.base import Knowledge, Progress
from darkroom.verifiers.attacks.gradient import GradientAttack
from darkroom.verifiers.subject import VerifierSubject
from darkroom.verifiers.targets.embedding import EmbeddingVerifier
from darkroom.verifiers.targets.encoders import TorchEncoder
from darkroom.verifiers.targets.metrics import Metric
from darkroom.verifiers.targets.view import View


def run(
    subject: VerifierSubject,
    knowledge: Knowledge,
    device: torch.device,
    *,
    steps: int = 12,
    metric: Metric = Metric.COSINE,
) -> Progress:
    assert isinstance(subject.target, EmbeddingVerifier)
    encoder = TorchEncoder(Projection(), SPEC, device=str(device))
    verifier = EmbeddingVerifier(encoder, subject.target.store, metric)
    people = np.arange(len(subject.goals))
    attack = GradientAttack(steps=steps, strangers=4)
    view = View(verifier, attack.access, QueryLedger(len(people)), people)
    *_, end = attack.run(view, knowledge, rng=np.random.default_rng(3))
    return end


@pytest.mark.medium
@pytest.mark.parametrize("metric", [Metric.COSINE, Metric.EUCLIDEAN])
def test_another_device_gives_the_same_answer_in_32_bits(
    metric: Metric, leaky: VerifierSubject, knowledge: Knowledge
) -> None:
    here = run(leaky, knowledge, torch.device("cpu"), metric=metric)
    with Elsewhere() as elsewhere:
        there = run(leaky, knowledge, DEVICE, metric=metric)
        assert elsewhere.refused == elsewhere.doubles == []
    np.testing.assert_allclose(here.reconstructions, there.reconstructions, atol=1e-4)
    assert here.queries.tolist() == there.queries.tolist()


@pytest.mark.medium
def test_nothing_crosses_in_a_step(leaky: VerifierSubject, knowledge: Knowledge) -> None:
    counts = []
    for steps in (12, 18):  # as much is shown, and moves are drawn once
        with Elsewhere() as elsewhere:
            run(leaky, knowledge, DEVICE, steps=steps)
        counts.append(len(elsewhere.crossings))
    assert counts[0] == counts[1] > 0
