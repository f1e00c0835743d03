"""Rendered people whom ten networks know, and judges who have seen neither them nor the attacker's.

Every network knows people of its own, so that what is found on one says something new.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.claims import tell
from benchmarks.nets.networks import SIDE
from darkroom.demo.face_encoder import train_face_encoder
from darkroom.demo.people.employees import render_faces
from darkroom.vision.judges.panel import Panel
from darkroom.vision.judges.ranks import Floats, log_rank_right, log_ranks_of_guesses
from darkroom.vision.priors.base import ImagePrior
from darkroom.vision.priors.spaces import EigenfacePrior
from darkroom.vision.spec import ImageSpec

Images = NDArray[np.float32]
Labels = NDArray[np.int64]

SPEC = ImageSpec((3, SIDE, SIDE))
TRAINED_ON, HELD_OUT = 32, 16
GALLERY_PHOTOS = 2
GUESSES = 500


class Cast(NamedTuple):
    """How many people are rendered.

    Attributes:
        known: Whom each network tells apart.
        public: Whom the attacker knows, with four photos each.
        judges: Of whom the embedding learns how people differ, with eight photos each.
        strangers: Among whom the right person is ranked.
    """

    known: int
    public: int
    judges: int
    strangers: int


FULL = Cast(24, 300, 700, 2000)
QUICK = Cast(12, 300, 300, 500)


class Known(NamedTuple):
    """Photos of the people whom one network knows.

    Attributes:
        images: ``(people, TRAINED_ON + HELD_OUT, 3, side, side)`` in [0, 1].
    """

    images: Images

    @property
    def trained_on(self) -> tuple[Images, Labels]:
        """What the network sees, and who is on each."""
        return flat(self.images[:, :TRAINED_ON])

    @property
    def held_out(self) -> tuple[Images, Labels]:
        """What only judges see."""
        return flat(self.images[:, TRAINED_ON:])


class World(NamedTuple):
    """What does not depend on the network attacked.

    Attributes:
        known: For each of the networks.
        public: Photos that the attacker has, and who is on each.
        prior: Eigenfaces of those.
        embedding: Tells people apart; has seen people of its own alone.
        strangers: Where each of those among whom people are ranked lies, ``(strangers, size)``.
    """

    known: list[Known]
    public: tuple[Images, Labels]
    prior: EigenfacePrior
    embedding: nn.Module
    strangers: Floats

    @classmethod
    def render(cls, cast: Cast, networks: int, seed: int) -> World:
        """Renders everybody and trains the embedding.

        Args:
            cast: How many people.
            networks: How many networks have people of their own.
            seed: Decides all.
        """
        tell("rendering people")
        own = render_faces(
            cast.known * networks,
            TRAINED_ON + HELD_OUT,
            role="employees",
            seed=seed,
            size=SIDE,
        ).images
        known = [Known(part) for part in np.split(own, networks)]
        public = flat(render_faces(cast.public, 4, role="strangers", seed=seed, size=SIDE).images)
        prior = EigenfacePrior.fit(public[0], SPEC, seed=seed)
        tell("training the embedding that ranks people")
        # Another seed is other people.
        learned = flat(
            render_faces(cast.judges, 8, role="strangers", seed=seed + 1, size=SIDE).images
        )
        embedding = train_face_encoder(*learned, seed=seed + 1)
        others = render_faces(
            cast.strangers, GALLERY_PHOTOS, role="bystanders", seed=seed, size=SIDE
        ).images
        return cls(known, public, prior, embedding, centres(embedding, others))

    def ranker(self, known: Known, prior: ImagePrior) -> Ranker:
        """Returns what ranks the people of one network, beside guesses from a prior."""
        own = centres(self.embedding, known.images[:, TRAINED_ON:][:, :GALLERY_PHOTOS])
        people = np.concatenate([own, self.strangers])
        with torch.no_grad():
            draws = prior.decode(prior.draw(GUESSES, torch.Generator().manual_seed(1)))
        guesses = placed(self.embedding, draws.numpy()) @ people.T
        return Ranker(self.embedding, people, log_ranks_of_guesses(guesses, len(own)))

    def panel(self, known: Known, seed: int) -> Panel:
        """Trains the judges who name people."""
        return Panel.fit(
            *known.held_out, public_images=self.public[0], public_people=self.public[1], seed=seed
        )


class Ranker(NamedTuple):
    """Ranks the right person of each reconstruction among strangers.

    Attributes:
        embedding: Places images.
        people: Where those under attack lie, then strangers, ``(goals + strangers, size)``.
        guessed: The expected log2 of each goal's rank without the model, ``(goals,)``.
    """

    embedding: nn.Module
    people: Floats
    guessed: Floats

    def bits(self, images: Images) -> Floats:
        """Returns the bits that each image gains over a guess, ``(goals,)``.

        Args:
            images: One of each goal, in their order, in [0, 1].
        """
        likeness = placed(self.embedding, images) @ self.people.T
        return self.guessed - log_rank_right(likeness)


def flat(photos: Images) -> tuple[Images, Labels]:
    """Returns photos of ``(people, photos, ...)`` in one row, and who is on each."""
    people, each = photos.shape[:2]
    return photos.reshape(-1, *photos.shape[2:]), np.repeat(np.arange(people), each)


@torch.no_grad()
def placed(embedding: nn.Module, images: Images) -> Floats:
    """Returns where images lie with their mirror images, each of length one, ``(n, size)``."""
    parts = [
        embedding(part) + embedding(part.flip(3))
        for part in torch.from_numpy(images).split(500)  # type: ignore[no-untyped-call]
    ]
    return _unit(torch.cat(parts).double().numpy())


def centres(embedding: nn.Module, photos: Images) -> Floats:
    """Returns where people lie on average, ``(people, size)``, of ``(people, photos, ...)``."""
    people, each = photos.shape[:2]
    return _unit(placed(embedding, flat(photos)[0]).reshape(people, each, -1).mean(axis=1))


def _unit(vectors: Floats) -> Floats:
    unit: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit
