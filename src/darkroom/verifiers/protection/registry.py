"""What an audit may put between a verifier and an attacker, by the names that plans use."""

from __future__ import annotations

from darkroom.defenses.base import OutputDefense
from darkroom.defenses.registry import MATCH_DEFENSES
from darkroom.named import Registry
from darkroom.verifiers.protection.binarised import BinarisedHash
from darkroom.verifiers.protection.polyprotect import PolyProtect
from darkroom.verifiers.protection.rotation import Rotation

VERIFIER_DEFENSES: Registry[OutputDefense] = Registry(
    "defence",
    OutputDefense,
    *MATCH_DEFENSES.own.values(),
    Rotation,
    PolyProtect,
    BinarisedHash,
    group="darkroom.output_defenses",
)
