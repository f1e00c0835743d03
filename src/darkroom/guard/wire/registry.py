"""Wire formats by the names that policies use."""

from __future__ import annotations

from collections.abc import Sequence

from darkroom.defenses.base import OutputDefense
from darkroom.errors import PlanError
from darkroom.guard.policy import Policy
from darkroom.guard.wire.azure import Azure
from darkroom.guard.wire.base import Wire
from darkroom.guard.wire.hugging_face import HuggingFace
from darkroom.guard.wire.invocations import Invocations
from darkroom.guard.wire.open_inference import OpenInference
from darkroom.guard.wire.openai.completions import OpenAI
from darkroom.guard.wire.plain_json import PlainJson
from darkroom.guard.wire.strict_wire import StrictWire
from darkroom.guard.wire.torchserve import TorchServe
from darkroom.guard.wire.v1_predict import V1Predict
from darkroom.named import Registry

WIRES: Registry[StrictWire] = Registry(
    "wire",
    StrictWire,
    OpenInference,
    V1Predict,
    TorchServe,
    HuggingFace,
    Invocations,
    Azure,
    OpenAI,
    PlainJson,
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
    made = [WIRES.find(one) for one in policy.wire]
    defenses = policy.pipeline().defenses
    for wire in made:
        _require_fitting(policy, wire, defenses)
    counting = any(isinstance(wire, OpenAI) and wire.context is not None for wire in made)
    for budget in policy.budget:
        if budget.unit == "tokens" and not counting:
            raise PlanError(
                f"budget {budget.name} counts tokens, which no [[wire]] does: give wire openai "
                "context = 8192, or whatever the model's context has room for"
            )
    return made


def _require_fitting(policy: Policy, wire: StrictWire, defenses: Sequence[OutputDefense]) -> None:
    """Refuses defences, outputs and budgets that a format's answers are not for.

    Raises:
        PlanError: If there is one.
    """
    told = "predicted numbers" if wire.numbers else "probabilities"
    for defense in defenses:
        if defense.numbers != wire.numbers and not isinstance(wire, OpenAI):
            raise PlanError(
                f"defence {defense.name} does not go with wire {wire.name}, which answers {told}: "
                f"{'value-rounding and value-noise do' if wire.numbers else 'see numbers = true'}"
            )
    if wire.numbers and any(one.per == "class" for one in policy.budget):
        raise PlanError(f"a budget counts classes, which wire {wire.name} has not: it has numbers")
