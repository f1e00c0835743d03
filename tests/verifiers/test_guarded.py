"""A form that compares faces, behind a guard that counts by person, and without it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from tests.guard.conftest import Hand
from tests.support.served import served
from tests.verifiers.conftest import SPEC, write_photos
from tests.verifiers.services import FaceService

from darkroom.errors import PlanError
from darkroom.guard.api_keys import hashed
from darkroom.guard.middleware import Guard
from darkroom.guard.policy import parse_policy
from darkroom.guard.stores.sqlite import SqliteStore
from darkroom.kinds import read_plan
from darkroom.runs import Run, audit_plan
from darkroom.verifiers.record import VerifierCell

KEY, PER_PERSON = "dk_auditor", 31

POLICY = f"""\
[guard]
model = "gate"
[[client]]
name = "auditor"
key = "{hashed(KEY)}"
[[wire]]
name = "json"
route = "/compare"
path = "score"
numbers = true
files = ["photo"]
one_by_one = true
person = "id"
[[budget]]
name = "about"
per = "person"
rows = {PER_PERSON}
"""

PLAN = """\
[run]
name = "gate"
out = "{out}"
authorized_by = "the tests"
[target]
kind = "http"
protocol = "multipart"
url = "{free}/compare"
threshold = 0.93
pairs = 90
[guarded]
url = "{guarded}/compare"
api_key_env = "GUARD_KEY"
[private]
enrolled = "enrolled.npz"
enrol = "0:3"
[public]
images = "strangers.npz"
[judges]
steps = 5
[[attack]]
name = "evolution"
rows = 200
strangers = 10
"""


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, FaceService]:
    folder, hidden = tmp_path_factory.mktemp("gate"), FaceService(SPEC)
    write_photos(folder)
    policy = parse_policy(tomllib.loads(POLICY), "policy")
    store = SqliteStore("gate", folder / "guard.sqlite", create=True, clock=Hand())
    with (
        pytest.MonkeyPatch.context() as patch,
        served(FaceService(SPEC)) as free,
        served(Guard(hidden, policy, store=store)) as guarded,
    ):
        patch.setenv("GUARD_KEY", KEY)
        out = (folder / "runs").as_posix()
        (folder / "plan.toml").write_text(PLAN.format(out=out, free=free, guarded=guarded))
        return audit_plan(folder / "plan.toml", progress=False), hidden


@pytest.mark.medium
def test_the_guard_lets_so_many_rows_about_each_person_through(
    asked: tuple[Run, FaceService],
) -> None:
    run, hidden = asked
    before, after = run.cells
    assert isinstance(before, VerifierCell)
    assert isinstance(after, VerifierCell)
    assert (before.defense, after.defense) == ("none", "guard")
    # One blank photo found out about the server; whoever is refused first ends the attack.
    assert max(hidden.rows.values()) == PER_PERSON
    guard = after.details.guard
    assert guard is not None
    assert guard.rows == hidden.rows.total() - guard.opened
    assert (guard.opened, guard.refusals) == (1, 1)


@pytest.mark.medium
def test_fewer_are_accepted_behind_it(asked: tuple[Run, FaceService]) -> None:
    before, after = asked[0].cells
    assert before.success.estimate >= 5 / 6
    assert after.success.estimate <= 2 / 6
    page = asked[0].report.read_text()
    assert "With and without the guard" in page
    assert "behind its guard, until that refuses" in page


def test_a_guard_stands_before_what_compares(tmp_path: Path) -> None:
    text = PLAN.format(out="runs", free="http://h", guarded="http://g")
    wrong = text.replace('url = "http://g/compare"', 'url = "http://g/embed"\nanswers = "template"')
    (tmp_path / "plan.toml").write_text(wrong)
    with pytest.raises(PlanError, match="which nobody compares there"):
        read_plan(tmp_path / "plan.toml")
