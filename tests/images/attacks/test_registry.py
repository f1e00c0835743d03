"""Attacks by the words of a plan."""

from __future__ import annotations

from typing import Any

import pytest

from darkroom.access import Access
from darkroom.errors import PlanError
from darkroom.images.attacks.base import Attack
from darkroom.images.attacks.gradient import GradientAttack
from darkroom.images.attacks.mi_face import MIFaceAttack
from darkroom.images.attacks.policy import PolicyAttack
from darkroom.images.attacks.registry import ATTACKS


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("gradient", {}, GradientAttack()),
        (
            "gradient",
            {"steps": 3, "loss": "cross-entropy"},
            GradientAttack(3, loss="cross-entropy"),
        ),
        ("gradient", {"learning_rate": 1}, GradientAttack(learning_rate=1.0)),
        ("policy", {"diversity": 0.97}, PolicyAttack(diversity=0.97)),
        ("mi-face", {"process": "denoise-sharpen"}, MIFaceAttack(process="denoise-sharpen")),
    ],
)
def test_words_make_attacks(name: str, parameters: dict[str, Any], expected: Attack) -> None:
    assert ATTACKS.make(name, parameters) == expected


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("gradinet", {}, "no attack is called 'gradinet': did you mean 'gradient'?"),
        ("", {}, "no attack is called ''"),
        ("gradient", {"step": 3}, "attack gradient has no parameter 'step': did you mean 'steps'"),
        ("gradient", {"name": "x"}, "attack gradient has no parameter 'name'"),
        ("mi-face", {"gamma": 0.9}, "attack mi-face has no parameter 'gamma'"),
        ("gradient", {"steps": "many"}, "attack gradient: steps: "),
        ("gradient", {"steps": 2.5}, "attack gradient: steps: "),
        ("gradient", {"loss": "hinge"}, "attack gradient: loss: "),
        ("gradient", {"steps": 0}, "attack gradient: steps must be 1 or more"),
        ("mi-face", {"patience": 0}, "attack mi-face: patience must be 1 or more"),
    ],
)
def test_words_that_name_nothing(name: str, parameters: dict[str, Any], expected: str) -> None:
    with pytest.raises(PlanError) as caught:
        ATTACKS.make(name, parameters)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ATTACKS.own)
def test_every_attack_says_what_it_is(name: str) -> None:
    attack = ATTACKS.make(name, {})
    assert attack.name == name
    assert attack.access in Access
    assert any(year.isdigit() for year in attack.paper.split())
    assert 0 < attack.confidence <= 1
    assert attack.expected_queries() > 0
