"""What a policy protects, and what one in its place would take away."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError
from tests.guard.conftest import KEYS, policy_table

from darkroom.errors import PlanError
from darkroom.guard.api_keys import hashed
from darkroom.guard.policy import parse_policy
from darkroom.guard.protection import Protection, announcement, require_no_less

CLIENTS: list[dict[str, Any]] = [
    {"name": "alice", "key": hashed(KEYS["alice"]), "groups": ["trial"]},
    {"name": "bob", "key": hashed(KEYS["bob"]), "groups": ["trial", "staff"]},
    {"name": "carol", "key": hashed("dk_carol")},
]
DEFENSES = [
    {"name": "rounding", "decimals": 1},
    {"name": "top-k", "k": 3},
    {"name": "rounding", "decimals": 2},
]
WATCHED = {"path": "detector.npz"}
TIGHTENED = {**WATCHED, "tighten": [{"name": "rounding", "decimals": 0}]}
MODELS = [{"name": "faces", "paths": ["/faces"]}, {"name": "voices", "paths": ["/voices"]}]


def protection(**changes: Any) -> Protection:
    return Protection.of(parse_policy(policy_table(**{"client": CLIENTS, **changes}), "p"))


def lost(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Returns what is lost where one table of a policy takes the place of another."""
    before, after = protection(**old), protection(**new)
    # What a process reads back of it protects the same.
    again = Protection.model_validate_json(before.text)
    assert before.lost_in(before) == again.lost_in(before) == []
    assert before.lost_in(after) == again.lost_in(after)
    return before.lost_in(after)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"budget": [{"name": "daily", "rows": 10, "per": "class"}]}, "budget daily"),
        ({"budget": [{"name": "daily", "rows": 10, "clients": ["bob"]}]}, "budget daily"),
        ({"budget": [{"name": "other", "rows": 11}]}, "budget daily"),
        ({"budget": [{"name": "other", "rows": 10, "window": "1h"}]}, "budget daily"),
        ({"defense": [{"name": "rounding"}]}, "defense rounding.decimals"),
        ({"outputs": {}}, "outputs.top_k"),
        ({"wire": [{"name": "json", "route": "/predict"}]}, "wire json /predict.classes"),
    ],
)
def test_each_kind_of_loss_is_named(change: dict[str, Any], expected: str) -> None:
    wire = [{"name": "json", "route": "/predict", "classes": ["a", "b", "c", "d"]}]
    table = {"wire": wire, "outputs": {"top_k": 1}, "defense": DEFENSES[:1]}
    assert lost(table, {**table, **change}) == [expected]


@pytest.mark.parametrize(
    ("old", "new", "gone"),
    [
        ({"per": "group"}, {"per": "client"}, True),
        ({"per": "client", "groups": ["trial"]}, {"per": "client"}, False),
        ({"per": "client"}, {"per": "client", "groups": ["trial"]}, True),
        ({"per": "group", "groups": ["staff"]}, {"per": "group"}, False),
        ({}, {"models": ["faces"]}, True),
        ({"models": ["faces"]}, {"models": ["faces", "voices"]}, False),
        ({"models": ["faces", "voices"]}, {"models": ["faces"]}, True),
    ],
)
def test_a_budget_that_counts_less_is_a_loss(
    old: dict[str, Any], new: dict[str, Any], gone: bool
) -> None:
    before, after = (
        Protection.of(
            parse_policy(
                policy_table(
                    client=CLIENTS, model=MODELS, budget=[{"name": "daily", "rows": 3, **one}]
                ),
                "p",
            )
        )
        for one in (old, new)
    )
    assert before.lost_in(after) == (["budget daily"] if gone else [])
    assert not before.lost_in(Protection.model_validate_json(before.text))


@pytest.mark.parametrize(
    ("paths", "gone"),
    [
        (["/faces", "/v2/a/infer"], False),
        (["/faces", "/v2/*", "/more"], False),
        (["/faces"], True),
        (["/v2/a/*"], True),
        (["/f*", "/v2/a/inf"], True),
    ],
)
def test_a_route_that_has_lost_a_path_is_a_loss(paths: list[str], gone: bool) -> None:
    budget = [{"name": "daily", "rows": 3, "routes": ["slow"]}]
    before, after = (
        protection(budget=budget, route=[{"name": "slow", "paths": one}])
        for one in (["/faces", "/v2/a/infer"], paths)
    )
    assert before.lost_in(after) == (["route slow.paths"] if gone else [])
    assert before.lost_in(protection(budget=[{"name": "daily", "rows": 3}])) == []


CHAT = {"name": "chat", "paths": ["/v1/chat/completions"], "names": ["a", "b"]}
OTHER = {"name": "other", "paths": ["/v1/chat/completions"], "names": ["c"]}


@pytest.mark.parametrize(
    ("models", "gone"),
    [
        ([MODELS[0]], False),
        ([MODELS[0], {"name": "voices", "paths": ["/voices", "/faces"]}], False),
        ([{"name": "voices", "paths": ["/voices", "/faces"]}, MODELS[0]], True),
        ([{"name": "voices", "paths": ["/*"]}, MODELS[0]], True),
        ([{"name": "faces", "paths": ["/more"]}], False),
        ([{"name": "faces", "paths": ["/more"]}, {"name": "new", "paths": ["/fa*"]}], True),
    ],
)
def test_requests_that_go_to_another_model_are_a_loss(
    models: list[dict[str, Any]], gone: bool
) -> None:
    before, after = (protection(model=one) for one in ([MODELS[0]], models))
    assert before.lost_in(after) == (["model faces.paths"] if gone else [])
    assert not before.lost_in(Protection.model_validate_json(before.text))


def test_names_that_go_to_another_model_are_a_loss() -> None:
    before = protection(model=[OTHER, CHAT])
    assert before.lost_in(protection(model=[CHAT, OTHER])) == []
    fewer, more = {**CHAT, "names": ["a"]}, {**OTHER, "names": ["c", "b"]}
    assert before.lost_in(protection(model=[fewer, OTHER])) == []
    assert before.lost_in(protection(model=[fewer, more])) == ["model chat.paths"]


@pytest.mark.parametrize("groups", [[], ["renamed"]])
def test_a_client_that_leaves_its_group_leaves_its_budget(groups: list[str]) -> None:
    budget = [{"name": "group", "per": "group", "rows": 3}]
    before = Protection.of(parse_policy(policy_table(client=CLIENTS, budget=budget), "p"))
    free = [{**CLIENTS[0], "groups": groups}, CLIENTS[1]]
    after = Protection.of(parse_policy(policy_table(client=free, budget=budget), "p"))
    assert before.lost_in(after) == ["budget group"]
    more = [{**CLIENTS[0], "groups": ["trial", "staff"]}, CLIENTS[1]]
    after = Protection.of(parse_policy(policy_table(client=more, budget=budget), "p"))
    assert before.lost_in(after) == []


def test_models_that_come_or_go_begin_new_counts_of_classes() -> None:
    budget = [{"name": "one", "per": "class", "rows": 3}]

    def having(models: list[dict[str, Any]]) -> Protection:
        return Protection.of(parse_policy(policy_table(model=models, budget=budget), "p"))

    assert having(MODELS).lost_in(having(MODELS[:1])) == ["model voices"]
    assert having([]).lost_in(having(MODELS)) == ["budget one"]
    assert having(MODELS[:1]).lost_in(having(MODELS)) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"guard": {"model": "m"}}, {"guard": {"model": "m", "shadow": True}}, ["shadow"]),
        ({"guard": {"model": "m", "shadow": True}}, {"guard": {"model": "m"}}, []),
        ({"outputs": {"labels_only": True}}, {}, ["outputs.labels_only"]),
        ({"outputs": {"top_k": 2}}, {}, ["outputs.top_k"]),
        ({"outputs": {"top_k": 2}}, {"outputs": {"top_k": 5}}, []),
        ({"outputs": {"top_k": 2}}, {"outputs": {"labels_only": True}}, []),
        ({}, {"outputs": {"top_k": 2}}, []),
        ({"detector": WATCHED}, {}, ["detector"]),
        ({"detector": TIGHTENED}, {}, ["detector"]),
        ({"detector": TIGHTENED}, {"detector": WATCHED}, ["detector.tighten"]),
        ({"detector": WATCHED}, {"detector": TIGHTENED}, []),
        ({"defense": DEFENSES}, {"defense": DEFENSES[:2]}, ["defense rounding"]),
        ({"defense": DEFENSES}, {"defense": DEFENSES[1:]}, ["defense rounding"]),
        ({"defense": DEFENSES}, {"defense": [*DEFENSES[:1], DEFENSES[2]]}, ["defense top-k"]),
        ({"defense": DEFENSES[:2]}, {"defense": DEFENSES}, []),
        ({"defense": DEFENSES}, {}, ["defense rounding", "defense top-k", "defense rounding"]),
    ],
)
def test_what_is_taken_away_is_named(
    old: dict[str, Any], new: dict[str, Any], expected: list[str]
) -> None:
    assert lost(old, new) == expected


def test_a_defence_of_ones_own_is_called_what_its_place_is() -> None:
    own = {"load": "darkroom.defenses.rounding:Rounding", "decimals": 1}
    assert lost({"defense": [own]}, {}) == ["defense darkroom.defenses.rounding:Rounding"]
    other = {"load": "darkroom.defenses.temperature:Temperature", "degree": 2.0}
    assert lost({"defense": [own]}, {"defense": [other]}) == [
        "defense darkroom.defenses.rounding:Rounding"
    ]


def test_a_defence_of_one_model_is_a_loss_of_that_model() -> None:
    shared, own = DEFENSES[1], {**DEFENSES[0], "models": ["faces"]}
    before: dict[str, Any] = {"model": MODELS, "defense": [shared, own]}
    assert lost(before, {**before, "defense": [shared]}) == ["model faces.defense rounding"]
    assert lost(before, {**before, "defense": [own]}) == ["defense top-k"]
    assert lost(before, {**before, "defense": [shared, DEFENSES[0]]}) == []
    alone = lost(before, {"defense": [shared]})
    assert alone == ["model faces", "model voices", "model faces.defense rounding"]


OTHER_WIRE = {"name": "json", "route": "/other"}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (["classes"], [], ["wire json /predict.classes"]),
        ([], ["classes"], []),
        (["classes", "row_shape"], ["row_shape"], ["wire json /predict.classes"]),
    ],
)
def test_a_format_that_lacks_a_key_is_a_loss(
    old: list[str], new: list[str], expected: list[str]
) -> None:
    keys = {"classes": ["a", "b"], "row_shape": [4]}

    def wires(names: list[str]) -> dict[str, Any]:
        own = {"name": "json", "route": "/predict", **{one: keys[one] for one in names}}
        return {"wire": [own, OTHER_WIRE]}

    assert lost(wires(old), wires(new)) == expected


def test_a_format_that_is_gone_answers_nobody_and_is_no_loss() -> None:
    own = {"name": "json", "route": "/predict", "classes": ["a", "b"]}
    assert lost({"wire": [own, OTHER_WIRE]}, {"wire": [OTHER_WIRE]}) == []


def test_of_formats_with_one_name_each_keeps_its_keys() -> None:
    with_context, without = {"name": "openai", "context": 9}, {"name": "openai"}
    budget = [{"name": "daily", "rows": 3}]
    both: dict[str, Any] = {"wire": [with_context], "budget": budget}
    assert lost(both, {"wire": [without], "budget": budget}) == ["wire openai.context"]
    assert lost({"wire": [without]}, both) == []


DAILY = {"name": "daily", "rows": 10}


@pytest.mark.parametrize(
    ("old", "new", "gone"),
    [
        # Numbers that a budget of the same name writes out are said.
        (DAILY, {**DAILY, "rows": 99}, False),
        ({**DAILY, "window": "2h"}, {**DAILY, "window": "1h"}, False),
        (DAILY, {**DAILY, "window": "1h"}, False),
        ({**DAILY, "window": "2d"}, DAILY, True),
        ({**DAILY, "window": "1d"}, DAILY, False),
        ({**DAILY, "window": "12h"}, DAILY, False),
        # One of another name takes the place of a looser one alone.
        (DAILY, {"name": "other", "rows": 10}, False),
        (DAILY, {"name": "other", "rows": 9}, False),
        (DAILY, {"name": "other", "rows": 11}, True),
        (DAILY, {"name": "other", "rows": 9, "window": "1h"}, True),
        ({**DAILY, "window": "1h"}, {"name": "other", "rows": 9, "window": "2h"}, False),
        # What it counts must be the same.
        (DAILY, {**DAILY, "per": "model"}, True),
        (DAILY, {"name": "daily", "tokens": 10}, True),
        ({**DAILY, "per": "model"}, {**DAILY, "per": "model"}, False),
        ({**DAILY, "per": "model"}, {**DAILY, "per": "model", "models": ["faces"]}, True),
        ({**DAILY, "clients": ["alice"]}, DAILY, False),
        ({**DAILY, "clients": ["alice"]}, {**DAILY, "clients": ["alice", "bob"]}, False),
        ({**DAILY, "clients": ["alice", "bob"]}, {**DAILY, "clients": ["alice"]}, True),
        ({**DAILY, "clients": ["alice"]}, {**DAILY, "groups": ["trial"]}, False),
        ({**DAILY, "clients": ["carol"]}, {**DAILY, "groups": ["trial"]}, True),
        ({**DAILY, "groups": ["trial"]}, {**DAILY, "groups": ["trial", "staff"]}, False),
        ({**DAILY, "groups": ["trial", "staff"]}, {**DAILY, "groups": ["staff"]}, True),
        ({**DAILY, "per": "group"}, {**DAILY, "per": "group", "groups": ["trial"]}, True),
        ({**DAILY, "routes": ["slow"]}, DAILY, False),
        (DAILY, {**DAILY, "routes": ["slow"]}, True),
        ({**DAILY, "routes": ["slow"]}, {**DAILY, "routes": ["slow", "fast"]}, False),
        ({**DAILY, "routes": ["slow", "fast"]}, {**DAILY, "routes": ["slow"]}, True),
    ],
)
def test_a_budget_holds_what_another_held_or_is_lost(
    old: dict[str, Any], new: dict[str, Any], gone: bool
) -> None:
    routes = [{"name": "slow", "paths": ["/slow"]}, {"name": "fast", "paths": ["/fast"]}]
    found = lost(*({"budget": [one], "model": MODELS, "route": routes} for one in (old, new)))
    assert found == (["budget daily"] if gone else [])


def test_a_client_that_is_gone_needs_no_budget() -> None:
    budget = [{**DAILY, "clients": ["carol"]}]
    assert lost({"budget": budget}, {"budget": [], "client": CLIENTS[:2]}) == []
    assert lost({"budget": budget}, {"budget": []}) == ["budget daily"]


def test_one_of_several_budgets_must_hold_all_of_it() -> None:
    halves = [{**DAILY, "name": name, "clients": [name]} for name in ("alice", "bob")]
    both = [{**DAILY, "clients": ["alice", "bob"]}]
    assert lost({"budget": both}, {"budget": halves}) == ["budget daily"]
    assert lost({"budget": halves}, {"budget": both}) == []


def test_models_that_are_asked_by_name_go_to_the_first_that_matches() -> None:
    named = {"name": "faces", "paths": ["/v1/*"], "names": ["a", "b"]}
    free = {"name": "voices", "paths": ["/v1/*"]}
    assert lost({"model": [named, free]}, {"model": [free, named]}) == ["model faces.paths"]
    # What the free one had with a name of the other, it has still.
    assert lost({"model": [free]}, {"model": [named, free]}) == ["model voices.paths"]
    apart = {**free, "paths": ["/v2/*"]}
    assert lost({"model": [named, apart]}, {"model": [apart, named]}) == []


def test_what_is_kept_is_what_the_policy_says_and_is_not_changed() -> None:
    made = protection(budget=[DAILY])
    assert '"budgets":[{"name":"daily","rows":10}]' in made.text
    with pytest.raises(ValidationError, match="frozen"):
        made.shadow = True


def test_what_is_given_up_must_be_named() -> None:
    before = protection(defense=DEFENSES[:1], outputs={"top_k": 2})
    after = protection()
    require_no_less(before, after, ["defense rounding", "outputs.top_k", "shadow"])
    require_no_less(after, before, [])
    with pytest.raises(PlanError) as caught:
        require_no_less(before, after, ["outputs.top_k"])
    assert str(caught.value) == (
        "it would protect less than the policy before: it has no more defense rounding; "
        'if that is meant, write [guard] gives_up = ["defense rounding"]'
    )
    with pytest.raises(PlanError, match=r'gives_up = \["defense rounding", "outputs.top_k"\]'):
        require_no_less(before, after, [])


def test_what_is_in_force_is_told_in_one_line() -> None:
    plain = announcement(parse_policy(policy_table(defense=DEFENSES[:1]), "p"))
    assert plain.startswith("tiny: in force in process ")
    assert plain.endswith(
        ": 2 client(s); budgets: daily 10 rows per client, window day; "
        "answers: rounding(decimals=1); no detector"
    )
    bare = parse_policy(
        policy_table(guard={"model": "m", "shadow": True}, budget=[], detector=WATCHED), "p"
    )
    told = announcement(bare)
    assert "budgets: NONE; " in told
    assert told.endswith("watched by a detector; SHADOW: nothing is refused or changed")
