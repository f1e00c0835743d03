"""Which cells a plan comes to: attacks by access level against output defences."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from darkroom.access import Access
from darkroom.auditing.plan import validate
from darkroom.errors import PlanError
from darkroom.images.cell_plan import cell_plans
from darkroom.images.plan import ImagePlan


def plan(
    attacks: list[dict[str, Any]],
    defenses: list[dict[str, Any]] | None = None,
    *,
    public: bool = True,
) -> ImagePlan:
    table: dict[str, Any] = {
        "run": {"name": "small"},
        "target": {"load": "mymodels:face_net", "shape": [1, 8, 8]},
        "private": {"images": "people"},
        "attack": attacks,
        "defense": defenses or [],
    }
    if public:
        table["public"] = {"images": "strangers"}
    return validate(ImagePlan, table, "plan.toml")


def cells(*arguments: Any, most: Access = Access.WEIGHTS) -> list[tuple[str, str, str]]:
    return [
        (cell.attack.name, str(cell.access), cell.defense.name)
        for cell in cell_plans(plan(*arguments), most)
    ]


def test_weights_see_through_output_defences_and_scores_do_not() -> None:
    found = cells([{"name": "gradient"}, {"name": "evolution"}], [{"name": "rounding"}])
    assert found == [
        ("gradient", "weights", "none"),
        ("evolution", "scores", "none"),
        ("evolution", "scores", "rounding(decimals=2)"),
    ]


def test_a_chain_is_one_defence() -> None:
    chain = {"chain": [{"name": "rounding", "decimals": 1}, {"name": "top-k", "k": 2}]}
    found = cells([{"name": "evolution"}], [chain])
    assert found[1][2] == "rounding(decimals=1) + top-k(k=2)"


def test_where_labels_alone_are_left_one_other_attack_stands_in() -> None:
    attacks = [{"name": "evolution"}, {"name": "finite-difference"}]
    found = cells(attacks, [{"name": "label-only"}])
    assert [name for name, _, defense in found if defense == "label-only"] == ["auto"]


def test_an_attack_takes_what_the_target_shows() -> None:
    assert cells([{"name": "evolution"}], most=Access.TOP_K) == [("evolution", "top_k", "none")]
    given = [{"name": "evolution", "access": "top_k"}]
    assert cells(given, most=Access.SCORES) == [("evolution", "top_k", "none")]
    assert cells([{"name": "auto"}], most=Access.LABEL) == [("auto", "label", "none")]


@pytest.mark.parametrize("most", [Access.TOP_K, Access.LABEL])
def test_too_little_access_is_refused(most: Access) -> None:
    with pytest.raises(PlanError, match=f"attack gradient needs weights, but is given {most}"):
        cells([{"name": "gradient"}], most=most)


def test_a_module_without_gradients_is_attacked_by_its_scores() -> None:
    given = [{"name": "gradient"}, {"name": "mi-face"}, {"name": "evolution", "access": "weights"}]
    assert cells(given, most=Access.SCORES) == [
        ("auto", "scores", "none"),
        ("evolution", "scores", "none"),
    ]


def test_the_prior_is_the_best_that_the_data_allow() -> None:
    attacks = [{"name": "gradient"}]
    assert [cell.prior.name for cell in cell_plans(plan(attacks))] == ["eigenfaces"]
    assert [cell.prior.name for cell in cell_plans(plan(attacks, public=False))] == ["mean"]


def test_a_naive_attacker_meets_every_defence_a_second_time() -> None:
    attacks = [{"name": name} for name in ("evolution", "surrogate", "gradient")]

    def told(defense: str) -> list[tuple[str, str, bool]]:
        table = plan(attacks, [{"name": defense}])
        chosen = table.model_copy(update={"run": table.run.model_copy(update={"naive": True})})
        return [(one.attack.name, one.defense.name, one.naive) for one in cell_plans(chosen)]

    assert told("label-only") == [
        ("evolution", "none", False),
        ("auto", "label-only", False),
        ("evolution", "label-only", True),
        ("surrogate", "none", False),
        ("surrogate", "label-only", False),
        ("gradient", "none", False),
    ]
    assert ("surrogate", "noise(deviation=0.05, kind=gaussian)", True) in told("noise")


def test_a_naive_cell_has_a_key_of_its_own_and_others_keep_theirs() -> None:
    (plain, *_) = cell_plans(plan([{"name": "evolution"}]))
    assert replace(plain, naive=True).key("s", "1") != plain.key("s", "1")
