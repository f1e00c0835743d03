"""What a language model is worth behind a defence, against what ``transformers`` says itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.support.records import known as there
from tests.support.tiny_language import memoriser

from darkroom.auditing.record import Utility
from darkroom.defenses.logprobs import LogprobNoise, LogprobRounding, TopLogprobs
from darkroom.demo.corpus import held_out_lines
from darkroom.errors import DataError, PlanError
from darkroom.text.lines import read_lines, write_lines
from darkroom.text.utility import as_distribution, text_utility


def test_perplexity_is_that_of_the_model() -> None:
    known = memoriser()
    lines = [*held_out_lines(known.canaries, count=9), "x"]
    costs: list[float] = []
    for line in lines:
        ids = torch.tensor([known.wrapped(line)["input_ids"]])
        with torch.inference_mode():
            logprobs = known.target.model(input_ids=ids).logits[0].log_softmax(dim=-1)
        costs += (-logprobs[:-1][torch.arange(ids.shape[1] - 1), ids[0, 1:]]).tolist()
    found = text_utility(known.target, lines, None, 0)
    assert found.perplexity == pytest.approx(np.exp(np.mean(costs)), rel=1e-6)
    assert found == Utility(perplexity=found.perplexity)


@pytest.mark.medium
def test_defences_cost_perplexity() -> None:
    known = memoriser()
    lines = held_out_lines(known.canaries, count=20)
    plain = there(text_utility(known.target, lines, None, 0).perplexity)
    worth = [
        text_utility(known.target, lines, defense, 0)
        for defense in (LogprobNoise(0.0), LogprobNoise(0.5), LogprobNoise(2.0))
    ]
    assert worth[0].perplexity == pytest.approx(plain)
    assert worth[0].label_changes == 0.0
    assert plain < there(worth[1].perplexity) < there(worth[2].perplexity)
    assert there(worth[1].label_changes) < there(worth[2].label_changes)
    rounded = text_utility(known.target, lines, LogprobRounding(3.0), 0)
    assert there(rounded.perplexity) > plain
    assert text_utility(known.target, lines, TopLogprobs(2), 0).label_changes == 0
    assert text_utility(known.target, (), None, 0) == Utility()


def test_a_reader_shares_out_what_is_hidden() -> None:
    told = np.log([[0.5, 0.3, 1e-300, 1e-300]])
    told[0, 2:] = -np.inf
    np.testing.assert_allclose(np.exp(as_distribution(told)), [[0.5, 0.3, 0.1, 0.1]])
    # Rounded up beyond one, nothing is left for the hidden, and nothing is impossible either.
    over = np.array([[0.0, 0.0, -np.inf]])
    shares = np.exp(as_distribution(over))
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert 0 < shares[0, 2] < 1e-6


def test_lines_are_read_as_they_are_written(tmp_path: Path) -> None:
    lines = ["one", "two \N{LATIN SMALL LETTER U WITH DIAERESIS}"]
    for name in ("a.txt", "a.jsonl"):
        write_lines(tmp_path / name, lines)
        assert read_lines(tmp_path / name) == lines
    (tmp_path / "b.jsonl").write_text('{"texd": "secret 123"}\n')
    with pytest.raises(DataError, match="not an object with a text") as caught:
        read_lines(tmp_path / "b.jsonl")
    assert "123" not in str(caught.value)
    (tmp_path / "c.txt").write_text("\n")
    for name, kind in (("c.txt", DataError), ("none.txt", DataError), ("d.csv", PlanError)):
        with pytest.raises(kind):
            read_lines(tmp_path / name)
