"""Secrets out of language models: ``python -m benchmarks text``."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import kstest

from benchmarks.claims import Claim, Outcome, Table
from benchmarks.text import chat, speed
from benchmarks.text.architectures import agreement, misleading
from benchmarks.text.own import discoverable_claims, near_claims, own_claims
from darkroom.access import LanguageAccess
from darkroom.auditing.progress import Reporter
from darkroom.demo.text import make_text_inputs
from darkroom.ledger import QueryLedger
from darkroom.statistics.intervals import clopper_pearson
from darkroom.text.attacks.bandits import Choice, Floats, Pull, successive_elimination
from darkroom.text.attacks.base import Places, SecretAttack, SecretGoal, SecretProgress
from darkroom.text.attacks.best_first import BestFirst
from darkroom.text.attacks.fill_mask import FillMask
from darkroom.text.attacks.sampling import SamplingAttack
from darkroom.text.canaries import Canaries
from darkroom.text.exposure.bits import extrapolated, sampled
from darkroom.text.exposure.measure import Exposure, measure, path_surprises
from darkroom.text.exposure.near import NearPlace
from darkroom.text.exposure.rank import TOLERANCE, ranks
from darkroom.text.formats.secrets import make_format
from darkroom.text.subject import TextSubject
from darkroom.text.targets.base import free
from darkroom.text.targets.transformers import TransformersTarget, load_transformers
from darkroom.text.targets.view import LanguageView


class Trained(NamedTuple):
    """A demo model, what is hidden in it, and the seconds that its training took."""

    target: TransformersTarget
    canaries: Canaries
    seconds: float


class Attacked(NamedTuple):
    """What an attack got of every canary."""

    hits: NDArray[np.bool_]
    last: SecretProgress


def run(*, quick: bool, seed: int) -> Outcome:
    """Measures the claims on secrets.

    Args:
        quick: Trains the GPT alone and repeats less.
        seed: Decides everything random.
    """
    timed = speed.claims(quick=quick)
    agreed, architectures = agreement.claims(quick=quick)
    refused, adapters = misleading.claims()
    claims, tables = [_golden(), *agreed, *refused, *timed], [architectures, adapters]
    reporter = Reporter()
    with tempfile.TemporaryDirectory() as folder:
        claims += chat.claims(Path(folder) / "chat", quick=quick, seed=seed)
        gpt = _train(Path(folder) / "gpt", seed, reporter, masked=False)
        claims += _ranks(gpt, 4 if quick else 5, seed)
        found = _attack(gpt, BestFirst(rows=2000), LanguageAccess.WEIGHTS, seed)
        claims += _rows(gpt, found)
        exposures = _measured(gpt, seed)
        more, table = _repetitions("GPT", gpt, found, exposures)
        claims += more
        tables.append(table)
        more, table = _averaging(gpt, found, seed, secrets=2 if quick else 5)
        claims += more
        tables.append(table)
        claims.append(_sampling(gpt, exposures, seed, repetitions=100 if quick else 200))
        claims += _written(gpt, exposures, seed, quick=quick)
        more, table = own_claims(Path(folder), quick=quick, seed=seed)
        claims += more
        tables.append(table)
        if not quick:
            bert = _train(Path(folder) / "bert", seed, reporter, masked=True)
            claims += [one._replace(text=f"{one.text}, BERT") for one in _ranks(bert, 3, seed)[:1]]
            filled = _attack(bert, FillMask(), LanguageAccess.LOGPROBS, seed)
            more, table = _repetitions("BERT", bert, filled, None)
            claims += more
            tables.append(table)
            claims.append(
                Claim("seconds to train the BERT", 90, round(bert.seconds, 1), at_most=True)
            )
        claims.append(Claim("seconds to train the GPT", 90, round(gpt.seconds, 1), at_most=True))
    return Outcome(claims, tables)


def _golden() -> Claim:
    """Compares exposures with TensorFlow Privacy's own figures."""
    references = np.random.RandomState(0).normal(30, 3, 1000)
    sixteen, tied = np.arange(1.0, 17.0), np.array([1.0] * 4 + [2.0] * 4)
    secrets = np.array([28.0, 20.0])
    fitted = extrapolated(secrets, references)
    pairs = [
        (sampled(np.array([0, 0.1, 20, 3.5]), sixteen).exposure, [4, 4, -0.0874628412503391, 2]),
        (sampled(np.array([1.0]), tied).exposure, [0.6780719051126377]),
        (fitted.exposure, [1.9134249372385916, 11.443050268466058]),
        (fitted.shape, [0.578208351462205, 28.574194430908523, 3.2299063184571675]),
        (sampled(secrets, references).exposure, [1.9050883529745324, 9.965784284662087]),
    ]
    worst = max(float(np.abs(np.asarray(ours) - theirs).max()) for ours, theirs in pairs)
    return Claim("exposure less TensorFlow Privacy's, largest difference", 1e-9, worst, True)


def _train(folder: Path, seed: int, reporter: Reporter, *, masked: bool) -> Trained:
    began = time.monotonic()
    canaries = make_text_inputs(folder, seed=seed, reporter=reporter, masked=masked)
    seconds = time.monotonic() - began
    target = load_transformers(folder / ("bert" if masked else "gpt"), batch=512)
    return Trained(target, canaries, seconds)


def _view(target: TransformersTarget, access: LanguageAccess, goals: int) -> LanguageView:
    return LanguageView(target, access, QueryLedger(goals))


def _ranks(trained: Trained, digits: int, seed: int) -> list[Claim]:
    """Compares ranks with brute force, and the time with scoring one by one."""
    target, canary = trained.target, trained.canaries.inserted[-1]
    target.model.double()
    secrets = make_format(rf"\d{{{digits}}}")
    goal = SecretGoal(canary.before, canary.after, secrets)
    every = [secrets.at(index) for index in range(secrets.size)]
    view = _view(target, LanguageAccess.WEIGHTS, 1)
    spot = Places(view).of(goal)
    truth = path_surprises(target, [spot], [every])[0]
    chosen = np.random.default_rng(seed).integers(len(every), size=4 if target.masked else 8)
    wrong = 0
    for secret in chosen:
        found = ranks(view, [spot], truth[[secret]], rows=10**7)[0]
        wrong += found != ((truth <= truth[secret] + TOLERANCE).sum(),) * 2
    target.model.float()
    size = f"{len(every):,} candidates"
    claims = [Claim(f"ranks that differ from brute force, {size}", 0, wrong, at_most=True)]
    if not target.masked:
        claims.append(_speed(target, goal, every, size))
    return claims


def _speed(target: TransformersTarget, goal: SecretGoal, every: list[str], size: str) -> Claim:
    """Times the search through all candidates against scoring one after another."""
    view = _view(target, LanguageAccess.WEIGHTS, 1)
    began = time.perf_counter()
    spot = Places(view).of(goal)
    everything = ranks(view, [spot], np.array([1e6]), rows=10**7)[0]
    ours = time.perf_counter() - began
    assert everything.low == len(every)
    some = every[:: len(every) // 200]
    rows = [
        one.opening + one.tokens for one in target.codec.encode([goal.before + s for s in some])
    ]
    first = len(rows[0]) - len(every[0])
    began = time.perf_counter()
    singles = []
    with torch.inference_mode():
        for row in rows:
            logprobs = target.model(input_ids=torch.tensor([row])).logits[0].log_softmax(dim=-1)
            told = logprobs[torch.arange(first - 1, len(row) - 1), torch.tensor(row[first:])]
            singles.append(-float(told.sum()) / np.log(2))
    theirs = (time.perf_counter() - began) / len(rows) * len(every)
    same = path_surprises(target, [spot], [some])[0]
    assert np.allclose(singles, same, atol=0.01), "the two ways do not agree"
    return Claim(f"times faster than one by one with transformers, {size}", 50, theirs / ours)


def _attack(trained: Trained, attack: SecretAttack, access: LanguageAccess, seed: int) -> Attacked:
    canaries = trained.canaries.canaries
    goals = [SecretGoal(one.before, one.after, one.format) for one in canaries]
    view = _view(trained.target, access, len(goals))
    *_, last = attack.run(view, goals, rng=np.random.default_rng(seed))
    hits = [found.first == one.secret for found, one in zip(last.found, canaries, strict=True)]
    return Attacked(np.array(hits), last)


def _repeated(trained: Trained) -> NDArray[np.int64]:
    return np.array([canary.repetitions for canary in trained.canaries.canaries])


def _rows(trained: Trained, found: Attacked) -> list[Claim]:
    most = int(_repeated(trained).max())
    rows = found.last.queries[(_repeated(trained) == most) & found.hits]
    measured = int(rows.max()) if len(rows) else None
    text = f"rows to a nine-digit secret seen {most} times, of 1,000,000,000, the most"
    return [Claim(text, 2000, measured, at_most=True)]


def _measured(trained: Trained, seed: int) -> list[Exposure]:
    subject = TextSubject(trained.target, None, trained.canaries, 300, 200, seed)
    every = trained.canaries.canaries
    exposures = measure(trained.target, subject, every, lambda done, total: None)  # noqa: ARG005
    assert exposures is not None
    return exposures


def _repetitions(
    name: str, trained: Trained, found: Attacked, exposures: list[Exposure] | None
) -> tuple[list[Claim], Table]:
    """Tabulates extraction and exposure by repetition."""
    repeated, rows = _repeated(trained), []
    bits = np.array([np.nan if exposures is None else one.bits for one in exposures or repeated])
    for count in sorted(set(repeated.tolist())):
        chosen = repeated == count
        rate = clopper_pearson(int(found.hits[chosen].sum()), int(chosen.sum()))
        rows.append(
            [
                count or "controls",
                int(chosen.sum()),
                f"{rate.estimate:.2f} ({rate.low:.2f}-{rate.high:.2f})",
                "" if exposures is None else f"{np.median(bits[chosen]):.1f}",
                int(np.median(found.last.queries[chosen])),
            ]
        )
    most = repeated == repeated.max()
    claims = [
        Claim(f"most repeated extracted, {name}", 0.9, float(found.hits[most].mean())),
        Claim(f"controls extracted, {name}", 0.0, float(found.hits[repeated == 0].mean()), True),
    ]
    if exposures is not None:
        shares = 2.0 ** -bits[repeated == 0]
        p_value = float(kstest(shares, "uniform").pvalue)
        claims.append(
            Claim("p of controls' ranks being uniform (Kolmogorov-Smirnov)", 0.01, p_value)
        )
    columns = ("in training", "secrets", "extracted (95%)", "exposure, median bits", "rows, median")
    return claims, Table(f"{name}: extraction and exposure by repetition", columns, rows)


DEVIATIONS = (0.75, 1.5, 3.0)
"""Standard deviations of the noise on a token's log-probability, in nats."""


def _averaging(
    trained: Trained, found: Attacked, seed: int, *, secrets: int
) -> tuple[list[Claim], Table]:
    """Finds secrets among 10,000 candidates behind noise, by elimination and by plain averaging.

    The model's log-probabilities are looked up, and noise is added at each pull. Where noise is
    weak, two or three questions about each candidate are enough for plain averaging, and there is
    little to save; the claim is about the strongest noise.
    """
    most = np.flatnonzero((_repeated(trained) == _repeated(trained).max()) & found.hits)[:secrets]
    rows: dict[float, list[tuple[int, int]]] = {deviation: [] for deviation in DEVIATIONS}
    wrong = 0
    for number in most:
        rng = np.random.default_rng([seed, int(number)])
        clean, tokens = _surprises(trained, int(number), rng)
        for deviation in DEVIATIONS:
            noise = deviation * np.sqrt(tokens) / np.log(2)
            pull = _noisy(clean, noise, rng)
            ours, plain = (
                successive_elimination(pull, len(clean), noise, budget=10**8, dropping=dropping)
                for dropping in (True, False)
            )
            wrong += not (_is_right(ours) and _is_right(plain))
            rows[deviation].append((int(ours.pulls.sum()), int(plain.pulls.sum())))
    strongest = max(ours / plain for ours, plain in rows[DEVIATIONS[-1]])
    claims = [
        Claim("secrets wrong behind noise, of 10,000 candidates", 0, wrong, at_most=True),
        Claim(
            f"rows of elimination over rows of uniform averaging, noise of {DEVIATIONS[-1]} nats",
            1 / 3,
            strongest,
            at_most=True,
        ),
    ]
    return claims, _averaging_table(rows, len(most))


def _averaging_table(rows: dict[float, list[tuple[int, int]]], secrets: int) -> Table:
    """Shows the rows that both took, means over secrets, and their ratio."""
    return Table(
        f"Rows to the secret among 10,000 candidates behind noise, {secrets} secrets, means",
        ("noise a token, nats", "elimination", "uniform averaging", "ratio"),
        [
            [
                deviation,
                *(round(float(mean)) for mean in np.mean(pairs, axis=0)),
                f"{np.sum(pairs, axis=0)[0] / np.sum(pairs, axis=0)[1]:.2f}",
            ]
            for deviation, pairs in rows.items()
        ],
    )


def _surprises(trained: Trained, number: int, rng: np.random.Generator) -> tuple[Floats, int]:
    """Returns the bits of a secret, the first, and 9,999 others, and the most tokens of one."""
    canary = trained.canaries.canaries[number]
    drawn = canary.format.sample(9_999, rng, exclude=[canary.secret])
    arms = [canary.secret, *drawn]
    scores = trained.target.score([canary.before] * len(arms), arms, free())
    return np.array([-one.sum() / np.log(2) for one in scores]), max(map(len, scores))


def _noisy(clean: Floats, noise: float, rng: np.random.Generator) -> Pull:
    """Returns what answers with a candidate's surprise and fresh noise."""
    return lambda chosen: clean[chosen] + rng.normal(0, noise, len(chosen))


def _is_right(choice: Choice) -> bool:
    return choice.certain and choice.best == 0


def _written(trained: Trained, exposures: list[Exposure], seed: int, *, quick: bool) -> list[Claim]:
    """Compares what is known exactly of near misses and of continuations with the slow ways."""
    canaries, repeated = trained.canaries.canaries, _repeated(trained)
    shares = np.array([2.0**-one.surprise for one in exposures])
    sometimes = int(np.abs(shares - 0.3).argmin())
    by_heart, never = int(shares.argmax()), int(np.flatnonzero(repeated == 0)[0])
    claims = []
    for one, known in ((canaries[by_heart], True), (canaries[never], False)):
        place = NearPlace(one.before, "", one.secret)
        claims += near_claims(trained.target, place, "a secret", by_heart=known)
    drawn = 10_000 if quick else 100_000
    surprise = exposures[sometimes].surprise
    return claims + discoverable_claims(
        trained.target, canaries[sometimes], surprise, seed=seed, drawn=drawn
    )


def _sampling(trained: Trained, exposures: list[Exposure], seed: int, *, repetitions: int) -> Claim:
    """Repeats the estimation of a mode from text alone, and counts its errors.

    The secret is the one whose share is nearest to a third, so that others come often too.
    """
    shares = np.array([2.0**-one.surprise for one in exposures])
    inserted = _repeated(trained) > 0
    chosen = int(np.where(inserted, np.abs(shares - 1 / 3), np.inf).argmin())
    canary = trained.canaries.canaries[chosen]
    goal = SecretGoal(canary.before, canary.after, canary.format)
    view = _view(trained.target, LanguageAccess.LOGPROBS, 1)
    *_, likeliest = BestFirst(rows=2000).run(view, [goal], rng=np.random.default_rng(seed))
    truth = likeliest.found[0].guesses[0].secret
    view = _view(trained.target, LanguageAccess.SAMPLES, repetitions)
    attack = SamplingAttack(rows=200)
    *_, last = attack.run(view, [goal] * repetitions, rng=np.random.default_rng(seed))
    certain = [found for found in last.found if found.certain]
    wrong = sum(found.guesses[0].secret != truth for found in certain)
    text = f"called certain and wrong from text alone, share of {repetitions} (at 95% confidence)"
    return Claim(text, 0.05, wrong / repetitions, at_most=True)
