"""Attacks on secrets by the names that plans use."""

from __future__ import annotations

from darkroom.named import Registry
from darkroom.text.attacks.averaging import Averaging
from darkroom.text.attacks.base import SecretAttack
from darkroom.text.attacks.best_first import BestFirst
from darkroom.text.attacks.fill_mask import FillMask
from darkroom.text.attacks.sampling import SamplingAttack

SECRET_ATTACKS: Registry[SecretAttack] = Registry(
    "attack", SecretAttack, BestFirst, FillMask, SamplingAttack, Averaging, group="darkroom.attacks"
)
