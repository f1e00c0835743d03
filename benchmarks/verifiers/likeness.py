"""What else may make pictures show people: crops and light, decoders and priors that agree."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.claims import Table, tell
from benchmarks.verifiers.worlds import World
from darkroom.ledger import Limit, QueryLedger
from darkroom.statistics.intervals import clopper_pearson
from darkroom.verifiers.attacks.base import Attack, Knowledge, decoded
from darkroom.verifiers.attacks.decoders import fit_network, fit_ridge
from darkroom.verifiers.attacks.evolution import EvolutionAttack
from darkroom.verifiers.targets.base import Floats, Images, Labels
from darkroom.verifiers.targets.view import View
from darkroom.vision.judges.ranks import bits_gained, log_rank_right
from darkroom.vision.photos import Photos
from darkroom.vision.priors.base import ImagePrior
from darkroom.vision.priors.spaces import EigenfacePrior
from darkroom.vision.training.augment import varying

Flags = NDArray[np.bool_]

_LOOKS, _PRIORS, _DECODERS, _NEAR = 3, 4, 4, 0.5


class Shaken(View):
    """Asks about each row in several crops and lights, all of them charged, for their mean.

    Copies are mirrored half of the time, and moved and lit as photos are that train an encoder.
    """

    def __init__(self, *given: Any, **options: Any) -> None:
        """Sees what a view sees."""
        super().__init__(*given, **options)
        self._source = torch.Generator().manual_seed(0)

    def scores(self, images: Images, goals: Labels) -> Floats:
        """Returns the mean of copies; where a face is missing in one, as where there is none."""
        vary = varying(self.spec.low, self.spec.high)
        copies = vary(torch.from_numpy(images.repeat(_LOOKS, axis=0)), self._source).numpy()
        found = super().scores(copies, np.repeat(goals, _LOOKS))
        mean: Floats = found.reshape(-1, _LOOKS).mean(axis=1)
        return mean


class Around(ImagePrior):
    """Another prior, in coordinates that begin at a point of it and reach half as far."""

    name = "around"

    def __init__(self, prior: ImagePrior, centre: Floats) -> None:
        """Begins at the latents ``(dimensions,)``."""
        self.spec, self.latent_shape, self._prior = prior.spec, prior.latent_shape, prior
        self._centre = torch.from_numpy(centre).float().view(self.latent_shape)

    def decode(self, latents: Tensor) -> Tensor:
        """Decodes what lies so far from the centre; see :meth:`ImagePrior.decode`."""
        reach = self._prior.spread * _NEAR
        return self._prior.decode(self._prior.project(self._centre + reach * latents))

    def encode(self, images: Tensor) -> Tensor:
        """Returns the centre, wherever a picture lies: there the search begins."""
        return torch.zeros(len(images), *self.latent_shape)

    def start(self) -> Tensor:
        """Returns the centre."""
        return torch.zeros(self.latent_shape)

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Draws around the centre."""
        return torch.randn(n, *self.latent_shape, generator=generator)

    def energy(self, latents: Tensor) -> Tensor:
        """Returns half the mean squared distance to the centre."""
        return 0.5 * latents.square().flatten(1).mean(dim=1)


class Found(NamedTuple):
    """What a way to make pictures came to, person by person.

    Attributes:
        rows: That a person cost.
        distances: Of each picture to what is stored, ``(people,)``.
        accepted: Whether that is near enough.
        other: The same against a template of other photos.
        shown: Whether the judges recognise the person.
        plausible: Whether the picture passes the gate.
        logs: The log2 of the rank of the right person by the picture.
        guessed: The same expected of a guess.
    """

    rows: int
    distances: Floats
    accepted: Flags
    other: Flags
    shown: Flags
    plausible: Flags
    logs: Floats
    guessed: Floats

    @classmethod
    def of(cls, world: World, images: Images, rows: int) -> Found:
        """Asks the verifier and the judges."""
        subject, places = world.subject, np.arange(len(images))
        scores, judged = subject.target.scores(images, places), world.panel.judge(images)
        other, gallery = subject.other_templates, world.people.gallery
        assert other is not None
        assert gallery is not None
        logs = log_rank_right(gallery.likeness(subject.unit(images)))
        return cls(
            rows,
            -scores,
            scores >= subject.operating.threshold,
            other.decisions(images, places),
            judged.names(subject.goals),
            judged.plausible,
            logs,
            world.guessed,
        )

    def with_others(self, more: Found) -> Found:
        """Returns the same of two groups of people."""
        both: list[Any] = [np.append(*pair) for pair in zip(self[1:], more[1:], strict=True)]
        return Found(max(self.rows, more.rows), *both)

    def row(self) -> list[object]:
        """Returns the values of a line of the table, without the way."""
        people, distance = len(self.shown), float(np.median(self.distances))
        return [
            self.rows,
            distance if np.isfinite(distance) else None,
            *clopper_pearson(int(self.accepted.sum()), people),
            float(self.other.mean()),
            *clopper_pearson(int(self.shown.sum()), people),
            float(self.plausible.mean()),
            *bits_gained(self.logs, self.guessed),
        ]


Way = Callable[[World, int, int], tuple[Images, int]]
"""Makes pictures of everybody: from a world, rows a person and a seed, and says what one cost."""


def grown(
    world: World,
    attack: Attack,
    prior: ImagePrior,
    seed: int,
    *,
    people: Labels | None = None,
    view: type[View] = View,
) -> tuple[Images, int]:
    """Runs an attack to its end; see :data:`Way`.

    Args:
        world: The verifier, and the attacker's photos.
        attack: What to run.
        prior: In place of the world's.
        seed: Decides everything random.
        people: Whom to attack; everybody when left out.
        view: How the verifier is asked.
    """
    people = np.arange(len(world.subject.goals)) if people is None else people
    ledger = QueryLedger(len(people), Limit(per_goal=attack.expected_queries()))
    seen = view(world.subject.target, attack.access, ledger, people)
    known = Knowledge(prior, world.knowledge.photos, world.knowledge.people)
    *_, last = attack.run(seen, known, rng=np.random.default_rng([seed, 1]))
    return last.reconstructions, int(ledger.alone.max())


def _shaken(world: World, rows: int, seed: int) -> tuple[Images, int]:
    return grown(world, EvolutionAttack(rows=rows), world.knowledge.prior, seed, view=Shaken)


def _several(world: World, rows: int, seed: int) -> tuple[Images, int]:
    """Grows a picture in each of several priors, of half of the public people, for their mean."""
    attack = EvolutionAttack(rows=rows // _PRIORS, strangers=5)
    public, spec = world.subject.public, world.subject.spec
    priors = [
        EigenfacePrior.fit(public.images[half], spec, seed=seed)
        for half in _chosen(public, 0.5, _PRIORS, seed)
    ]
    found = [grown(world, attack, prior, seed + place) for place, prior in enumerate(priors)]
    return np.mean([images for images, _ in found], axis=0), sum(cost for _, cost in found)


def _agreed(world: World, rows: int, seed: int) -> tuple[Images, int]:
    """Decodes stored templates, as far as decoders of different people agree."""
    centres, asked = consensus(world, rows // 3, seed)
    return decoded(world.knowledge.prior, centres), asked


def _around(world: World, rows: int, seed: int) -> tuple[Images, int]:
    """Grows everybody's picture near what decoders agree on, for whom the template has leaked."""
    centres, asked = consensus(world, rows // 3, seed)
    attack = EvolutionAttack(rows=rows - asked)
    found = [
        grown(world, attack, Around(world.knowledge.prior, centre), seed, people=np.array([one]))
        for one, centre in enumerate(centres)
    ]
    return np.concatenate([images for images, _ in found]), asked + max(cost for _, cost in found)


WAYS: dict[str, Way] = {
    f"over {_LOOKS} crops and lights": _shaken,
    f"{2 * _DECODERS} decoders, where they agree": _agreed,
    "`evolution` around that": _around,
    f"mean of {_PRIORS} priors": _several,
}


def consensus(world: World, rows: int, seed: int) -> tuple[Floats, int]:
    """Decodes stored templates by ridges and nets that each learned from other public people.

    A coordinate counts by how far the decoders agree on it: by its squared mean over that and the
    variance between them.

    Args:
        world: Has the stored templates, and the attacker's photos.
        rows: The most photos to ask about.
        seed: Chooses them, and of whom each decoder learns.

    Returns:
        Latents, ``(people, dimensions)``, and the rows asked to learn from.
    """
    target, public, prior = world.subject.embedding, world.subject.public, world.knowledge.prior
    assert target is not None
    order = np.random.default_rng([seed, 21]).permutation(len(public.images))
    public = public.select(np.isin(np.arange(len(order)), order[:rows]))
    templates = target.encoder.templates(public.images)
    faces = np.isfinite(templates).all(axis=1)
    latents = prior.project(prior.encode(torch.from_numpy(public.images))).flatten(1)
    found = list[Floats]()
    for place, part in enumerate(_chosen(public, 0.75, _DECODERS, seed)):
        x, y = templates[part & faces], latents[part & faces].double().numpy()
        learned = fit_ridge(x, y), fit_network(x, y, seed=seed + place)
        found += [decode(target.store.means) for decode in learned]
    mean, apart = np.mean(found, axis=0), np.var(found, axis=0)
    centres: Floats = mean * mean**2 / (mean**2 + apart)
    return centres, len(templates)


def _chosen(photos: Photos, share: float, count: int, seed: int) -> list[Flags]:
    """Returns which photos are of a share of the people, drawn so many times."""
    rng, people = np.random.default_rng([seed, 20]), np.unique(photos.people)
    size = round(share * len(people))
    return [np.isin(photos.people, rng.permutation(people)[:size]) for _ in range(count)]


def likeness_table(worlds: list[World], plain: list[Images], rows: int, seed: int) -> Table:
    """Makes pictures in every way of :data:`WAYS`, and puts what they come to side by side.

    Args:
        worlds: Groups of people who are counted together.
        plain: What ``evolution`` made of each group in as many rows.
        rows: A person, at most.
        seed: Decides everything random.
    """
    lines = []
    for name, way in {"`evolution`": None, **WAYS}.items():
        tell(f"dlib, likeness: {name}")
        found = [
            Found.of(world, *((images, rows) if way is None else way(world, rows, seed)))
            for world, images in zip(worlds, plain, strict=True)
        ]
        lines.append([name, *reduce(Found.with_others, found).row()])
    people = sum(len(world.guessed) for world in worlds)
    return Table(
        f"dlib on AT&T: what may make pictures show {people} people",
        (
            *("way", "rows", "distance", "accepted", "low", "high", "other photos"),
            *("shown", "low", "high", "faces", "bits", "low", "high"),
        ),
        lines,
    )
