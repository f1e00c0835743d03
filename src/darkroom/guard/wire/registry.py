"""Wire formats by the names that policies use."""

from __future__ import annotations

from collections.abc import Sequence

from darkroom.errors import PlanError
from darkroom.guard.policy import Policy
from darkroom.guard.wire.base import Wire
from darkroom.guard.wire.hugging_face import HuggingFace
from darkroom.guard.wire.open_inference import OpenInference
from darkroom.guard.wire.openai import OpenAI
from darkroom.guard.wire.plain_json import PlainJson
from darkroom.guard.wire.strict_wire import StrictWire
from darkroom.guard.wire.torchserve import TorchServe
from darkroom.guard.wire.v1_predict import V1Predict
from darkroom.named import Registry

WIRES: Registry[StrictWire] = Registry(
    "wire", StrictWire, OpenInference, V1Predict, TorchServe, HuggingFace, OpenAI, PlainJson
)


def make_wires(policy: Policy) -> Sequence[Wire]:
    """Makes the wire formats.

    Raises:
        PlanError: If there is none, or one does not exist or has a wrong parameter.
    """
    if not policy.wire:
        raise PlanError(
            "the policy has no [[wire]]: name the format that the model's server speaks"
        )
    return [WIRES.find(one) for one in policy.wire]
