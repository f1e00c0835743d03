"""Wire formats by the names that policies use."""

from __future__ import annotations

from collections.abc import Sequence

from darkroom.errors import PlanError
from darkroom.guard.budgets.scopes import Scopes
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
    for wire in made:
        _require_fitting(policy, wire)
    _require_counting(policy, made)
    if any(one.per == "person" for one in policy.budget):
        _require_people([one for one in made if isinstance(one, PlainJson)])
    return made


def _require_people(made: Sequence[PlainJson]) -> None:
    """Refuses budgets of people where requests need not say whom they are about.

    Raises:
        PlanError: If no format says where that stands, or one with the same route does not.
    """
    naming = [one for one in made if one.names_people]
    silent = [one for one in made if any(other.matches("POST", one.route) for other in naming)]
    if not naming or not all(one.names_people for one in silent):
        raise PlanError(
            "a budget counts rows about each person enrolled, and "
            f"{'a [[wire]] of such a route does not say' if naming else 'no [[wire]] says'} where "
            'requests name them: give wire json person = "id", or a route with {person}'
        )


def _require_counting(policy: Policy, made: Sequence[StrictWire]) -> None:
    """Refuses budgets of tokens where language models may answer without counting them.

    Raises:
        PlanError: If there is one.
    """
    counting = [wire.context is not None for wire in made if isinstance(wire, OpenAI)]
    for budget in policy.budget:
        if budget.unit == "tokens" and not (counting and all(counting)):
            which = "not every [[wire]] openai does" if any(counting) else "no [[wire]] does"
            raise PlanError(
                f"budget {budget.name} counts tokens, which {which}: give wire openai "
                "context = 8192, or whatever the model's context has room for"
            )


def _require_fitting(policy: Policy, wire: StrictWire) -> None:
    """Refuses defences, outputs and budgets that a format's answers are not for.

    Raises:
        PlanError: If there is one.
    """
    told = "predicted numbers" if wire.numbers else "probabilities"
    defenses = {
        defense
        for model, chain in policy.pipelines().items()
        if _may_answer_for(policy, wire, None if model is None else [model])
        for defense in chain.defenses
    }
    for defense in defenses:
        if defense.numbers != wire.numbers and not isinstance(wire, OpenAI):
            raise PlanError(
                f"defence {defense.name} does not go with wire {wire.name}, which answers {told}: "
                f"{'value-rounding and value-noise do' if wire.numbers else 'see numbers = true'}"
            )
    counted = [one.models for one in policy.budget if one.per == "class"]
    if wire.numbers and any(_may_answer_for(policy, wire, models) for models in counted):
        raise PlanError(f"a budget counts classes, which wire {wire.name} has not: it has numbers")


def _may_answer_for(policy: Policy, wire: StrictWire, models: list[str] | None) -> bool:
    """Tells whether a format may answer for one of some models; ``None`` stands for all."""
    if models is None:
        return True
    route = getattr(wire, "route", None)
    if isinstance(route, str):
        return not set(models).isdisjoint(Scopes(policy).models(route))
    paths = [path for one in policy.model if one.name in models for path in one.paths]
    return any("*" in path or wire.matches("POST", path) for path in paths)
