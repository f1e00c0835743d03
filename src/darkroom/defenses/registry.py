"""Output defences by name: of scores, of values, of match scores, of log-probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from darkroom.defenses.base import OutputDefense
from darkroom.defenses.logprobs import LogprobDefense, LogprobNoise, LogprobRounding, TopLogprobs
from darkroom.defenses.match_scores import DecisionOnly, MatchNoise, MatchRounding
from darkroom.defenses.noise import Noise
from darkroom.defenses.pipeline import Pipeline
from darkroom.defenses.purifier import Purify
from darkroom.defenses.reverse_sigmoid import ReverseSigmoid
from darkroom.defenses.rounding import Rounding
from darkroom.defenses.stealthy_shield import KeyedStealthyShield, StealthyShield
from darkroom.defenses.sticky_noise import StickyNoise
from darkroom.defenses.temperature import Temperature
from darkroom.defenses.top_k import LabelOnly, TopK
from darkroom.defenses.values import ValueNoise, ValueRounding
from darkroom.errors import PlanError
from darkroom.named import Registry, Wanted

OUTPUT_DEFENSES: Registry[OutputDefense] = Registry(
    "defence",
    OutputDefense,
    Rounding,
    Noise,
    StickyNoise,
    TopK,
    LabelOnly,
    Temperature,
    ReverseSigmoid,
    Purify,
    StealthyShield,
    KeyedStealthyShield,
    group="darkroom.output_defenses",
)

TABLE_DEFENSES: Registry[OutputDefense] = Registry(
    "defence",
    OutputDefense,
    *OUTPUT_DEFENSES.own.values(),
    ValueRounding,
    ValueNoise,
    group="darkroom.output_defenses",
)

MATCH_DEFENSES: Registry[OutputDefense] = Registry(
    "defence",
    OutputDefense,
    MatchRounding,
    MatchNoise,
    DecisionOnly,
    group="darkroom.output_defenses",
)

LOGPROB_DEFENSES: Registry[LogprobDefense] = Registry(
    "defence",
    LogprobDefense,
    LogprobNoise,
    LogprobRounding,
    TopLogprobs,
    group="darkroom.output_defenses",
)


def make_pipeline(
    wanted: Sequence[Wanted],
    folder: Path | None = None,
    *,
    registry: Registry[OutputDefense] = OUTPUT_DEFENSES,
) -> Pipeline:
    """Makes a chain of output defences from a plan's words, and reads what they name.

    Args:
        wanted: The defences in order.
        folder: Where modules are looked for, and what relative paths in the parameters start from;
            the working folder if left out.
        registry: The defences to choose from.

    Raises:
        PlanError: If there is no such defence or parameter, a value is wrong, a secret or a file
            that one names is missing, or one is for answers of another kind.
        TargetError: If one cannot be imported.
    """
    made = [registry.find(one, folder).prepared(folder or Path()) for one in wanted]
    for one in made:
        if one.numbers and registry is OUTPUT_DEFENSES:
            raise PlanError(
                f"defence {one.name} changes predicted numbers, and this model answers scores: use "
                "rounding or another defence of confidences"
            )
    return Pipeline(tuple(made))
