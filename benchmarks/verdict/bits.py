"""Whether bits are what they claim to be, for people and for attributes."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import nn

from benchmarks.claims import Claim, Outcome, Table, tell
from benchmarks.verdict import images, tables
from benchmarks.verdict.subjects import arrays_of
from darkroom.auditing.plan import validate
from darkroom.auditing.progress import Reporter
from darkroom.auditing.record import Bits
from darkroom.demo.people.employees import render_faces
from darkroom.images.judging import Bench
from darkroom.images.subject import Subject
from darkroom.runs import finished
from darkroom.statistics.intervals import Interval
from darkroom.tables.job import TableJob, table_subject
from darkroom.tables.measures.bits import surprise
from darkroom.tables.plan import TablePlan
from darkroom.tables.rows import plan_schema
from darkroom.tables.targets.load import as_table_target
from darkroom.vision.judges.gallery import fit_gallery
from darkroom.vision.judging import ByHeart
from darkroom.vision.photos import Photos

SIZES = (100, 500, 2000)
EACH = 3

_PLAN = {
    "run": {"name": "audit"},
    "target": {"kind": "function", "load": "(object)", "response": "dose"},
    "private": {
        "table": "(DataFrame)",
        "sensitive": "sick",
        "trained_on": f"0:{tables.MEMBERS}",
    },
    "public": {"table": "(DataFrame)", "imputer": "logistic"},
    "attack": [{"name": "map", "prior": {"name": "marginals"}}],
}


class Counted(NamedTuple):
    """Bits by one way of counting.

    Attributes:
        subject: What they are of.
        estimate: The bits.
        low: The lower end of their interval.
        high: The upper end.
        most: What a perfect attack would gain.
    """

    subject: str
    estimate: float
    low: float
    high: float
    most: float


def of_bits(seed: int, quick: bool) -> Outcome:
    """Counts bits of people among 100, 500 and 2,000 strangers, and of attributes by hand.

    Args:
        seed: Decides models and attacks.
        quick: Two models in place of four.
    """
    people, agree = [], []
    subjects: Sequence[tuple[str, Callable[[], nn.Module], type[_Ranked]]] = (
        ("an untrained net", lambda: images.net(images.PEOPLE, seed), _Unchecked),
        ("half of the faces by heart", lambda: images.Planted(images.world(0).seen, 8), _Ranked),
        ("a net trained on photos", lambda: images.good(seed), _Ranked),
        ("all faces by heart", lambda: images.Planted(images.world(0).seen, 16), _Ranked),
    )
    for name, model, kind in subjects[2:] if quick else subjects:
        tell(f"bits of {name}")
        found = [_among(size, model(), kind, seed) for size in SIZES]
        people += [
            Counted(f"{name}, {size:,} strangers", *_ends(bits), bits.most)
            for size, bits in zip(SIZES, found, strict=True)
        ]
        most = found[-1]
        agree += [
            one.low <= most.high and min(most.low, one.most) <= one.high for one in found[:-1]
        ]
    tell("bits of attributes")
    attributes, off = _attributes(seed)
    columns = ("subject", "bits", "low", "high", "most")
    return Outcome(
        [
            Claim(
                f"bits of people: galleries whose interval meets that of {SIZES[-1]:,}",
                1.0,
                float(np.mean(agree)),
            ),
            Claim("bits of attributes against log-likelihood ratios", 1e-9, off, at_most=True),
        ],
        [Table("Bits", columns, [*people, attributes])],
    )


def _ends(bits: Bits) -> Interval:
    return Interval(bits.estimate, bits.low, bits.high)


class _Ranked(images.SharedJob):
    """An audit whose judges are shared, and whose people are ranked among its own strangers."""

    def bench(self, subject: Subject, former: Bench | None, reporter: Reporter) -> Bench:
        """Returns the shared judges with a gallery of this subject's strangers."""
        shared = super().bench(subject, former, reporter)
        assert subject.public is not None
        assert subject.strangers is not None
        parts = (subject.public, subject.private, subject.strangers)
        gallery = fit_gallery(*((subject.unit(one.images), one.people) for one in parts))
        by_heart = ByHeart.of(subject, shared.panel, gallery)
        return replace(shared, gallery=gallery, by_heart=by_heart, guesses={})


class _Unchecked(_Ranked, images.UncheckedJob):
    """The same for a model that no check would pass."""


def _among(size: int, model: nn.Module, kind: type[_Ranked], seed: int) -> Bits:
    """Audits a model, and ranks its people among so many strangers."""
    with tempfile.TemporaryDirectory() as folder:
        job = images.job_of(kind, Path(folder), model, images.world(0), seed)
        job = replace(job, subject=replace(job.subject, strangers=strangers(size)))
        bits = finished(job, False, Reporter(shown=False)).cells[0].bits
    assert bits is not None
    return bits


@cache
def strangers(size: int) -> Photos:
    """Renders people who are in no other part of an audit."""
    shown = render_faces(size, EACH, role="bystanders", seed=0, size=images.SIZE).images
    return Photos.of(shown.reshape(-1, *shown.shape[2:]), np.repeat(np.arange(size), EACH))


def _attributes(seed: int) -> tuple[Counted, float]:
    """Returns bits of attributes, and how far they are from log-likelihood ratios by hand."""
    rows = tables.people(seed)
    plan = validate(TablePlan, _PLAN, "bits")
    schema = plan_schema(plan, *rows)
    model = tables.Memory(rows, tables.MEMBERS // 2)
    target = as_table_target(model, schema, "predictions", untrained=False)
    with tempfile.TemporaryDirectory() as folder:
        run = {"name": "audit", "seed": seed, "out": folder}
        plan = validate(TablePlan, {**_PLAN, "run": run}, "bits")
        job = TableJob(plan, "", "", table_subject(plan, target, *rows), Path.cwd())
        shown = Reporter(shown=False)
        audited = finished(job, False, shown)
        arrays = arrays_of(audited)
        # The run keeps what it measures, so it is there before its baselines are asked again.
        bench = job.bench(job.subject, None, shown)
    told = (bench.imputed["members"].chances, bench.usual["members"].chances)
    imputed = min(told, key=lambda chances: surprise(arrays["members_truth"], chances))
    bits = audited.cells[0].bits
    assert bits is not None
    total, count = 0.0, len(arrays["members_truth"])
    for row, truth in enumerate(arrays["members_truth"]):
        ratio = float(arrays["members_posterior"][row, truth]) / float(imputed[row, truth])
        # So many records cannot tell that a value is rarer than this.
        total += math.log2(max(ratio, 1 / (count + 1)))
    off = abs(total / count - bits.estimate)
    return Counted("half of the attributes by heart", *_ends(bits), bits.most), off
