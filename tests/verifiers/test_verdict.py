"""Verdicts on verifiers whose truth is known, and on those that are set up wrongly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.support.crowd import SHAPE
from tests.verifiers.conftest import SPEC, Projection, photos_of, scrambled

from darkroom.api import audit_verifier
from darkroom.auditing.record import Difference, Share
from darkroom.errors import DataError
from darkroom.report.verdict.decision import decide
from darkroom.runs import Run
from darkroom.verifiers.acceptance import read_acceptance
from darkroom.verifiers.record import VerifierCell
from darkroom.verifiers.subject import VerifierSubject, enrol
from darkroom.verifiers.targets.base import Encoder
from darkroom.verifiers.targets.encoders import FunctionEncoder
from darkroom.verifiers.targets.metrics import Metric
from darkroom.vision.duplicates import check_duplicates
from darkroom.vision.photos import Photos

pytestmark = pytest.mark.medium


def audited(out: Path, encoder: Any = None, **options: Any) -> Run:
    private, public, apart = photos_of(12, 6, 1), photos_of(60, 2, 2), photos_of(80, 2, 3)
    given: dict[str, Any] = {
        "strangers": (apart.images, apart.people),
        "attacks": [{"name": "gradient", "strangers": 4, "steps": 60, "restarts": 1}],
        "judges": {"steps": 5},
        "false_accepts": 0.01,
    }
    return audit_verifier(
        encoder or Projection(),
        (private.images, private.people),
        public=(public.images, public.people),
        out=out,
        progress=False,
        **(given | options),
    )


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory) -> VerifierCell:
    (found,) = audited(tmp_path_factory.mktemp("verdict")).cells
    assert isinstance(found, VerifierCell)
    return found


def with_likeness(cell: VerifierCell, **figures: Any) -> VerifierCell:
    likeness = cell.details.likeness.model_copy(update=figures)
    details = cell.details.model_copy(update={"likeness": likeness, "worst_off": None})
    return cell.model_copy(update={"details": details, "bits": None})


def without_acceptance(cell: VerifierCell) -> VerifierCell:
    nobody = Share(estimate=0.0, low=0.0, high=0.4)
    chance = Share(estimate=0.1, low=0.05, high=0.15)
    none = Difference(estimate=-0.1, low=-0.2, high=0.3)
    return cell.model_copy(update={"success": nobody, "baseline": chance, "advantage": none})


FIFTH = Share(estimate=0.05, low=0.01, high=0.1)
KNOWN = Difference(estimate=0.9, low=0.6, high=0.95)
ALIKE = Difference(estimate=0.0, low=-0.2, high=0.3)


def test_acceptance_is_read_where_strangers_leave_room(cell: VerifierCell) -> None:
    assert cell.details.reading.looks == 2  # one of a hundred strangers: a quarter after 29
    assert 29 <= cell.details.reading.queries <= 64
    assert cell.advantage.low > 0
    verdict = decide([cell], None)
    assert verdict.outcome == "leak"
    assert "takes strangers for its people" in verdict.headline


def test_a_reading_in_the_end_alone_is_one_look(leaky: VerifierSubject) -> None:
    class Course:
        def __init__(self, queries: int, hits: int) -> None:
            self.queries, self.hits = queries, hits

        def accepted(self, subject: VerifierSubject) -> NDArray[np.bool_]:
            return np.arange(len(subject.goals)) < self.hits

        def gained(self, subject: VerifierSubject) -> Any:
            from darkroom.verifiers.acceptance import Point

            return Point.gained(self, subject)  # type: ignore[arg-type]

    half = leaky.operating.rows_for(0.5)
    assert leaky.operating.dictionary(half).estimate == pytest.approx(0.5, abs=0.02)
    early, late = Course(half, 6), Course(20 * half, 6)
    found = read_acceptance([early, late], leaky)  # type: ignore[list-item]
    assert found.point.queries == half  # in the end a dictionary has everybody, and nothing shows
    assert found.looks == 2
    alone = read_acceptance([Course(5, 6)], leaky)  # type: ignore[list-item]
    assert (alone.looks, alone.gained.low > found.gained.low) == (1, True)


def test_likeness_alone_is_a_leak(cell: VerifierCell) -> None:
    shown = with_likeness(without_acceptance(cell), mistaken=FIFTH, advantage=KNOWN)
    verdict = decide([shown], None)
    assert verdict.outcome == "leak"
    assert "gives the faces of" in verdict.headline
    assert any("is accepted as 0 of 12 people" in said for said in verdict.sentences)


@pytest.mark.medium
def test_a_clean_verdict_needs_both(cell: VerifierCell) -> None:
    sure = cell.details.likeness.accuracy.model_copy(update={"estimate": 1.0, "high": 1.0})
    nobody = with_likeness(
        without_acceptance(cell), shown=FIFTH, mistaken=FIFTH, advantage=ALIKE, accuracy=sure
    )
    assert decide([nobody], None).outcome == "none shown"
    blind = sure.model_copy(update={"estimate": 0.4, "high": 0.6})
    unsure = with_likeness(nobody, accuracy=blind)
    assert decide([unsure], None).outcome == "cannot tell"


def test_nothing_is_found_where_templates_say_nothing(tmp_path: Path) -> None:
    run = audited(
        tmp_path, scrambled, attacks=[{"name": "evolution", "rows": 60, "strangers": 10}],
        ignore_checks=["recognition"],
    )  # fmt: skip
    assert run.verdict.outcome != "leak"


def test_without_strangers_apart_likeness_cannot_be_told(tmp_path: Path) -> None:
    private, public = photos_of(6, 6, 1), photos_of(30, 4, 2)
    run = audit_verifier(
        Projection(),
        (private.images, private.people),
        public=(public.images, public.people),
        attacks=[{"name": "fixed", "photos": 5}],
        judges={"steps": 2},
        false_accepts=0.01,
        out=tmp_path,
        progress=False,
    )
    assert run.verdict.outcome == "cannot tell"
    (cell,) = run.cells
    assert isinstance(cell, VerifierCell)
    assert cell.details.likeness.others.n == 0


def test_an_attack_that_asked_nothing_found_nothing_out(tmp_path: Path) -> None:
    run = audited(tmp_path, attacks=[{"name": "template", "steps": 5, "budget": 5}])
    assert run.verdict.outcome == "cannot tell"
    assert run.cells[0].queries.total == 0
    assert "asked nothing" in run.verdict.reasons[0]


def encoder_of(subject: VerifierSubject) -> Encoder:
    assert subject.embedding is not None
    return subject.embedding.encoder


def test_the_same_people_among_strangers_fail_the_check(leaky: VerifierSubject) -> None:
    def checked(private: Photos, public: Photos, strangers: Photos) -> Any:
        subject = enrol(
            encoder_of(leaky), private, private.numbers < 3, public, strangers,
            false_accepts=0.05,
        )  # fmt: skip
        return check_duplicates(subject)

    private, public, apart = leaky.private, leaky.public, leaky.strangers
    assert apart is not None
    assert checked(private, public, apart).outcome == "passed"
    for place, name in ((1, "public photos"), (2, "photos of strangers")):
        sets = [private, public, apart]
        images = sets[place].images.copy()
        images[7] = private.images[0]
        sets[place] = sets[place]._replace(images=images)
        found = checked(*sets)
        assert found.outcome == "failed"
        assert f"1 of 6 private people are also among the {name}" in found.found
    images = private.images.copy()
    images[private.numbers >= 3] = images[private.numbers < 3]
    copied = checked(private._replace(images=images), public, apart)
    assert copied.outcome == "failed"
    assert "copies of photos that were enrolled" in copied.found


def test_a_person_without_an_enrolled_photo_is_named(leaky: VerifierSubject) -> None:
    private = leaky.private
    chosen = (private.numbers < 3) & (private.people != 2)
    with pytest.raises(DataError, match=r"no photo of person-2 is enrolled, .*\[private\] enrol"):
        enrol(encoder_of(leaky), private, chosen, leaky.public, leaky.strangers)


def test_no_face_is_accepted_at_no_distance(leaky: VerifierSubject) -> None:
    def blind(images: NDArray[np.float32]) -> NDArray[np.float64]:
        found = encoder_of(leaky).templates(images)
        found[images.mean(axis=(1, 2, 3)) < 0.01] = np.nan
        return found

    encoder = FunctionEncoder(blind, SPEC, name="blind")
    subject = enrol(
        encoder, leaky.private, leaky.trained, leaky.public, leaky.strangers,
        metric=Metric.EUCLIDEAN, threshold=1e6,
    )  # fmt: skip
    dark = np.zeros((1, *SHAPE), np.float32)
    assert not subject.target.decisions(dark, np.zeros(1, np.int64))[0]
    assert subject.target.decisions(leaky.private.images[:1], np.zeros(1, np.int64))[0]
