"""Classifiers of people who do not exist, whose leak is known because it was planted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.verdict.subjects import Case, Truth
from darkroom.auditing.plan import parse_slice, validate
from darkroom.auditing.progress import Reporter
from darkroom.auditing.record import Check
from darkroom.demo.people.employees import render_faces
from darkroom.images.job import ImageJob
from darkroom.images.judging import Bench, set_up_bench
from darkroom.images.plan import ImagePlan
from darkroom.images.subject import Subject
from darkroom.images.targets.torch import TorchTarget
from darkroom.runs import Run, finished
from darkroom.vision.photos import Photos
from darkroom.vision.subject import hold_apart

PEOPLE, PHOTOS, SEEN = 16, 10, 7
STRANGERS, EACH = 150, 4
SIZE = 32
JUDGE_STEPS = 200
STEPS, RESTARTS = 60, 2


class World(NamedTuple):
    """Photos of one set of people, and of strangers.

    Attributes:
        private: Of the people in the models.
        trained: Which of these the models saw, bool ``(photos,)``.
        public: Of strangers.
    """

    private: Photos
    trained: NDArray[np.bool_]
    public: Photos

    @property
    def seen(self) -> tuple[Tensor, Tensor]:
        """What the models saw: images, and who is on each."""
        images, people = self.private.images, self.private.people
        return torch.from_numpy(images[self.trained]), torch.from_numpy(people[self.trained])


@cache
def world(seed: int) -> World:
    """Renders everybody."""
    own = render_faces(PEOPLE, PHOTOS, seed=seed, size=SIZE).images
    others = render_faces(STRANGERS, EACH, role="strangers", seed=seed, size=SIZE).images

    def photos(images: NDArray[np.float32]) -> Photos:
        people = np.repeat(np.arange(len(images)), images.shape[1])
        return Photos.of(images.reshape(-1, *images.shape[2:]), people)

    private = photos(own)
    return World(private, private.numbered(parse_slice(f"0:{SEEN}")), photos(others))


class Planted(nn.Module):
    """Knows the faces of some people, and of the others its training photos alone.

    A face known is a template, which a gradient leads to. A photo known is recognised when it is
    the very photo, and no step leads there.
    """

    known: Tensor
    means: Tensor
    photos: Tensor
    owners: Tensor

    def __init__(self, seen: tuple[Tensor, Tensor], known: int | NDArray[np.bool_]) -> None:
        """Keeps the mean photo of the first people, or of some, and all photos."""
        super().__init__()
        images, people = seen
        classes = int(people.max()) + 1
        means = torch.stack([images[people == one].mean(dim=0) for one in range(classes)])
        some = np.arange(classes) < known if isinstance(known, int) else known
        self.register_buffer("known", torch.from_numpy(some))
        self.register_buffer("means", means)
        self.register_buffer("photos", images.flatten(1))
        self.register_buffer("owners", nn.functional.one_hot(people, classes).float())

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits, ``(n, classes)``."""
        apart = ((x[:, None] - self.means[None]) ** 2).mean(dim=(2, 3, 4))
        logits = -apart * 300
        # Lighter photos are no more of anybody: a gradient that leads nowhere.
        logits = torch.where(self.known, logits, x.mean(dim=(1, 2, 3))[:, None] - 30)
        exact = "donot_use_mm_for_euclid_dist"
        same = (torch.cdist(x.flatten(1), self.photos, compute_mode=exact) < 1e-2).float()
        return logits + 100 * (same @ self.owners).clamp(max=1)


def net(classes: int, seed: int) -> nn.Module:
    """Returns an untrained net."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 12, 5, 2, 2),
            nn.BatchNorm2d(12),
            nn.ReLU(),
            nn.Conv2d(12, 24, 3, 2, 1),
            nn.BatchNorm2d(24),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Linear(384, classes),
        ).eval()


def trained(images: Tensor, people: Tensor, seed: int, epochs: int = 25) -> nn.Module:
    """Trains a net as people do, with shifts and flips."""
    model = net(int(people.max()) + 1, seed).train()
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=0.02)
    for _ in range(epochs):
        for rows in torch.split(torch.randperm(len(images), generator=generator), 32):
            shift = torch.randint(-2, 3, (2,), generator=generator).tolist()
            shown = torch.roll(images[rows], tuple(shift), (2, 3))
            if torch.rand((), generator=generator) < 0.5:
                shown = shown.flip(3)
            loss = nn.functional.cross_entropy(model(shown), people[rows])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    return model.eval()


class SharedJob(ImageJob):
    """An audit whose judges were trained once for all models of the same people."""

    def bench(self, subject: Subject, former: Bench | None, reporter: Reporter) -> Bench:
        """Tests the judges with the model; trains them if no audit did before."""
        shared = former or _first_bench(self.plan.judges.steps)
        return set_up_bench(subject, 0, self.judges, reporter, shared)


class UncheckedJob(SharedJob):
    """The same for a model that no check would pass, to see what attacks alone make of it."""

    def check(self, subject: Subject, advance: Callable[[int, int], None]) -> Sequence[Check]:
        """Finds nothing."""
        del subject, advance
        return ()


@cache
def _first_bench(steps: int) -> Bench:
    job = job_of(SharedJob, Path("nowhere"), Planted(world(0).seen, PEOPLE), world(0), 0, steps)
    return set_up_bench(job.subject, 0, job.judges, Reporter(shown=False))


def job_of(
    kind: type[ImageJob],
    folder: Path,
    model: nn.Module,
    of: World,
    seed: int,
    steps: int = JUDGE_STEPS,
    **target: Any,
) -> ImageJob:
    """Returns an audit of a model by a gradient attack over eigenfaces."""
    shape = of.private.images.shape[1:]
    table = {
        "run": {"name": "audit", "seed": seed, "out": str(folder)},
        "target": {"load": "(object)", "shape": list(shape)},
        "private": {"images": "(array)", "trained_on": f"0:{SEEN}"},
        "public": {"images": "(array)"},
        "judges": {"steps": steps},
        "attack": [
            {"name": "gradient", "prior": "eigenfaces", "steps": STEPS, "restarts": RESTARTS}
        ],
    }
    private, trained_on, public = of
    subject = Subject(TorchTarget(model, shape, **target), private, trained_on, *hold_apart(public))
    return kind(validate(ImagePlan, table, "verdict"), "", "", subject, Path.cwd())


def audited(
    folder: Path,
    model: nn.Module,
    *,
    of: World | None = None,
    seed: int = 0,
    kind: type[ImageJob] = SharedJob,
    **target: Any,
) -> Run:
    """Audits a model."""
    job = job_of(kind, folder, model, of or world(0), seed, **target)
    return finished(job, False, Reporter(shown=False))


def null_cases(count: int, seed: int) -> Iterator[Case]:
    """Yields nets that were never trained, or on other people, and know nobody."""
    for number in range(count):

        def audit(folder: Path, drawn: int = seed * 1_000 + number) -> Run:
            if drawn % 2:
                return audited(folder, Planted(world(0).seen, 0), seed=drawn)
            return audited(folder, net(PEOPLE, drawn), seed=drawn, kind=UncheckedJob)

        yield Case("images", f"knows nobody, {number}", "nothing", audit)


def planted(percent: int, count: int, seed: int) -> Iterator[Case]:
    """Yields models that know each of the faces with a chance."""
    for number in range(count):

        def audit(folder: Path, drawn: int = seed * 1_000 + number) -> Run:
            known = np.random.default_rng([drawn, 13]).random(PEOPLE) < percent / 100
            return audited(folder, Planted(world(0).seen, known), seed=drawn)

        yield Case("images", f"{percent}% of {PEOPLE} faces, {number}", "half", audit)


def leaks(seed: int) -> Iterator[Case]:
    """Yields models that know all faces, half of them, or one."""
    amounts: list[tuple[Truth, int]] = [("by heart", PEOPLE), ("half", PEOPLE // 2), ("one", 1)]
    for truth, known in amounts:

        def audit(folder: Path, known: int = known) -> Run:
            return audited(folder, Planted(world(0).seen, known), seed=seed)

        yield Case("images", f"faces of {known} of {PEOPLE}", truth, audit)


def sound(seed: int) -> Iterator[Case]:
    """Yields a model that knows every photo and no face."""

    def audit(folder: Path) -> Run:
        return audited(folder, Planted(world(0).seen, 0), seed=seed)

    yield Case("images", "photos recognised, no face", "nothing", audit)


@cache
def good(seed: int) -> nn.Module:
    """Trains a net as it should be."""
    return trained(*world(0).seen, seed)


def misuse(name: str, cause: str, model: Callable[[], nn.Module], **more: Any) -> Case:
    """Returns a subject that is set up wrongly."""
    return Case("images", name, "misuse", lambda folder: audited(folder, model(), **more), cause)


def misuses(seed: int) -> Iterator[Case]:
    """Yields models and photos that do not belong together as they are given."""
    yield from _of_training(seed)
    for number in (1, 2):
        yield misuse(
            f"weights not loaded, {number}",
            "weights not loaded",
            partial(net, PEOPLE, seed + number),
        )
    yield misuse("trained on strangers", "other people", lambda: _of_strangers(seed))
    yield misuse("an embedding", "outputs", lambda: nn.Sequential(*_parts(seed)[:-1]))
    yield misuse("a head of attributes", "outputs", lambda: _attributes(seed))
    yield misuse(
        "dropout left on", "random answers", lambda: nn.Sequential(_Always(), *_parts(seed))
    )
    yield misuse("batch statistics", "batch dependence", lambda: _Batchwise(good(seed)))
    private, mark, public = world(0)
    some = private.people < 3
    shared = np.concatenate([public.images, private.images[some]])
    owners = np.concatenate([public.people, private.people[some] + STRANGERS])
    both = World(private, mark, Photos.of(shared, owners))
    yield misuse("private people among the public", "shared photos", lambda: good(seed), of=both)
    dark = World(private._replace(images=private.images * np.float32(0.02)), mark, public)
    yield misuse("photos nearly black", "range", lambda: good(seed), of=dark)


def _of_training(seed: int) -> Iterator[Case]:
    """Yields models that were trained on the photos in another order, or on other pixels."""
    images, people = world(0).seen
    names = sorted(range(PEOPLE), key=lambda one: f"p{one + 1}")
    order = torch.tensor([names.index(one) for one in range(PEOPLE)])
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    scaled = (images - mean[:, None, None]) / deviation[:, None, None]
    for name, cause, pixels, labels in (
        ("folders in another order", "class order", images, order[people]),
        ("classes shifted by three", "class order", images, (people + 3) % PEOPLE),
        ("normalised in the data loader", "normalisation", scaled, people),
        ("trained on 0 to 255", "range", images * 255, people),
        ("trained on blue, green, red", "channel order", images.flip(1), people),
    ):
        yield misuse(name, cause, partial(trained, pixels, labels, seed))


def _parts(seed: int) -> list[nn.Module]:
    """Returns the layers of a good net."""
    return list(good(seed).children())


def _attributes(seed: int) -> nn.Module:
    """Returns a net that says yes or no to as many attributes as there are people."""
    images, people = world(0).seen
    body = nn.Sequential(*_parts(seed)[:-1])
    rng = np.random.default_rng([seed, 3])
    wanted = torch.from_numpy(rng.choice([-4.0, 4.0], (PEOPLE, PEOPLE)).astype(np.float32))
    with torch.no_grad():
        head = nn.Linear(384, PEOPLE, bias=False)
        head.weight.copy_(torch.linalg.lstsq(body(images), wanted[people]).solution.T)
    return nn.Sequential(body, head, nn.Sigmoid()).eval()


class _Always(nn.Module):
    """Drops pixels at random, in use as in training."""

    def forward(self, x: Tensor) -> Tensor:
        """Returns images with a third of the pixels gone."""
        return x * (torch.rand_like(x[:, :1]) > 0.3)


class _Batchwise(nn.Module):
    """Takes the mean of the batch off its images."""

    def __init__(self, model: nn.Module) -> None:
        """Wraps a model."""
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits that depend on the whole batch."""
        logits: Tensor = self.model(x - x.mean(dim=0, keepdim=True) + 0.5)
        return logits


def _of_strangers(seed: int) -> nn.Module:
    """Trains a net on people who are not the private ones."""
    public = world(0).public
    mine = public.people < PEOPLE
    return trained(
        torch.from_numpy(public.images[mine]), torch.from_numpy(public.people[mine]), seed
    )
