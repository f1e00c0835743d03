"""People who are enrolled, strangers, encoders, and those who judge pictures."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from torch import nn

from benchmarks.claims import tell
from darkroom.auditing.artefacts import NOWHERE
from darkroom.demo.face_encoder import train_face_encoder
from darkroom.demo.people.employees import Role, render_faces
from darkroom.verifiers.attacks.base import Knowledge
from darkroom.verifiers.subject import VerifierSubject, enrol
from darkroom.verifiers.targets.encoders import TorchEncoder
from darkroom.vision.judges.panel import Panel
from darkroom.vision.judges.ranks import Floats
from darkroom.vision.judges.recognisers import own_judges
from darkroom.vision.judging import People, derived, guess, kept_people
from darkroom.vision.photos import Photos
from darkroom.vision.priors.spaces import EigenfacePrior
from darkroom.vision.spec import ImageSpec

SPEC = ImageSpec((3, 64, 64))
ENROLLED, PHOTOS, ENROL = 40, 12, 4


class Sizes(NamedTuple):
    """How many people there are.

    Attributes:
        learned: From whom the encoder learns, with ``each`` photos.
        each: Photos of each of these.
        public: Whom the attacker has, with three photos.
        strangers: Who take part in nothing, with two photos.
        epochs: Of the encoder's training.
        judge_steps: Of the convolutional judge's.
    """

    learned: int
    each: int
    public: int
    strangers: int
    epochs: int
    judge_steps: int


QUICK = Sizes(learned=300, each=5, public=300, strangers=400, epochs=14, judge_steps=200)
FULL = Sizes(learned=500, each=6, public=500, strangers=1000, epochs=20, judge_steps=500)


class World(NamedTuple):
    """A verifier with its people, and all that judges pictures of them.

    Attributes:
        subject: At a false-accept rate of 0.1%.
        knowledge: What an attacker has.
        people: The judges, and the strangers among whom people are ranked.
        guessed: The expected log2 of everybody's rank without the verifier.
        at_one_percent: The threshold at a false-accept rate of 1%.
        learned: Photos of those from whom the encoder learned; ``None`` where others made it.
    """

    subject: VerifierSubject
    knowledge: Knowledge
    people: People
    guessed: Floats
    at_one_percent: float
    learned: Photos | None = None

    @property
    def panel(self) -> Panel:
        """The judges."""
        return self.people.panel


def photos(people: int, each: int, role: Role, seed: int) -> Photos:
    """Renders people."""
    images = render_faces(people, each, role=role, seed=seed).images
    return Photos.of(images.reshape(-1, *images.shape[2:]), np.repeat(np.arange(people), each))


def rendered(sizes: Sizes, seed: int) -> World:
    """Renders everybody, trains an encoder on people who are not enrolled, and enrols forty."""
    tell("rendering people")
    private = photos(ENROLLED, PHOTOS, "employees", seed)
    public = photos(sizes.public, 3, "strangers", seed)
    others = photos(sizes.learned + sizes.strangers, sizes.each, "bystanders", seed)
    learned = others.select(others.people < sizes.learned)
    apart = others.select((others.people >= sizes.learned) & (others.numbers < 2))
    tell("training the encoder")
    encoder = train_face_encoder(learned.images, learned.people, seed=seed, epochs=sizes.epochs)
    return world_of(encoder, private, public, apart, sizes, seed)._replace(learned=learned)


def world_of(
    encoder: nn.Module, private: Photos, public: Photos, apart: Photos, sizes: Sizes, seed: int
) -> World:
    """Enrols people at an encoder, trains judges and fits a prior."""
    subject = enrol(
        TorchEncoder(encoder, SPEC),
        private,
        private.numbers < ENROL,
        public,
        apart,
        false_accepts=0.001,
    )
    return judged(subject, sizes.judge_steps, seed)


def judged(subject: VerifierSubject, judge_steps: int, seed: int) -> World:
    """Trains judges of a subject and fits a prior."""
    tell("training judges")
    people = kept_people(subject, seed, own_judges(judge_steps), NOWHERE, lambda *_: None)
    public = subject.public
    prior = EigenfacePrior.fit(public.images, subject.spec, seed=seed)
    guesses = guess(prior, people.panel, people.gallery, subject, derived(seed, 9))
    assert guesses.log_ranks is not None
    scores = np.sort(subject.impostor_scores, axis=None)[::-1]
    return World(
        subject,
        Knowledge(prior, public.images, public.people),
        people,
        guesses.log_ranks,
        float(scores[len(scores) // 100]),
    )
