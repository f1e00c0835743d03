"""Checks of judges of images."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from darkroom.testing.promises import check_part, global_randomness_untouched, require
from darkroom.vision.judges.base import Judge, Labels

PEOPLE, STRANGERS = 5, 4


def small_crowd(seed: int, each: int = 4) -> tuple[Tensor, Labels]:
    """Returns photos of five people and four strangers, who differ by smooth features.

    Args:
        seed: Of the photos; people are always the same.
        each: Photos of each.

    Returns:
        Float32 ``(n, 1, 20, 20)`` in [0, 1], and who is on each, negative for strangers.
    """
    features = torch.nn.functional.interpolate(
        torch.rand(PEOPLE + STRANGERS, 1, 5, 5, generator=torch.Generator().manual_seed(0)),
        size=(20, 20),
        mode="bilinear",
    )
    noise = torch.Generator().manual_seed(seed)
    photos = features.repeat_interleave(each, dim=0)
    photos = (photos + 0.02 * torch.randn(photos.shape, generator=noise)).clamp(0, 1)
    people = np.repeat([*range(PEOPLE), *range(-1, -1 - STRANGERS, -1)], each)
    return photos, people.astype(np.int64)


def check_judge(judge: Judge) -> None:
    """Checks a judge on :func:`small_crowd`, with strangers and without.

    Args:
        judge: With parameters for a small problem.

    Raises:
        AssertionError: If it breaks a promise; the sentence says which.
    """
    check_part(judge)
    for strangers in (True, False):
        _check(judge, strangers)


def _check(judge: Judge, strangers: bool) -> None:
    name = judge.name
    (images, people), (fresh, who) = small_crowd(1), small_crowd(2)
    if not strangers:
        images, people = images[torch.from_numpy(people >= 0)], people[people >= 0]
    before = images.clone()
    with global_randomness_untouched(f"judge {name}"):
        recognise, again = (judge.fit(images, people, seed=3) for _ in range(2))
    require(torch.equal(images, before), f"judge {name} changes the photos that it learns from")
    with torch.no_grad():
        named, repeated = recognise(fresh), again(fresh)
        alone = np.concatenate([recognise(fresh[row : row + 1]) for row in range(len(fresh))])
    right = named.shape == (len(fresh),) and np.issubdtype(named.dtype, np.integer)
    require(right, f"judge {name} answers {named.dtype} {list(named.shape)} to {len(fresh)} images")
    known = np.isin(named[named >= 0], np.arange(PEOPLE)).all()
    require(known, f"judge {name} names people whom it never saw")
    require(np.array_equal(repeated, named), f"judge {name} learns otherwise when taught again")
    require(np.array_equal(alone, named), f"judge {name} names others in a batch than one by one")
    seen = who >= 0
    share = float((named[seen] == who[seen]).mean())
    require(share > 0.8, f"judge {name} recognises {share:.0%} of people on fresh photos")
    if strangers:
        share = float((named[~seen] < 0).mean())
        require(share > 0.8, f"judge {name} takes {1 - share:.0%} of strangers for people")
