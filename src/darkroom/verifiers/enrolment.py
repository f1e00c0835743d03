"""People enrolled as a plan says: photos read, stored templates, or a server that knows them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from darkroom.auditing.plan import parse_slice
from darkroom.verifiers.plan import EnrolledSection, FacesSection
from darkroom.verifiers.subject import VerifierSubject, enrol, settled
from darkroom.verifiers.targets.base import Encoder
from darkroom.verifiers.targets.embedding import Store
from darkroom.verifiers.targets.load import open_verifier
from darkroom.verifiers.targets.sections import ServedFacesSection, TargetSection
from darkroom.verifiers.targets.stored import read_store
from darkroom.vision.photos import Photos, load_photos
from darkroom.vision.spec import ImageSpec


def enrolled_at(
    section: TargetSection,
    encoder: Encoder | None,
    photos: tuple[Photos, np.ndarray, Photos, Photos | None],
    spec: ImageSpec,
    leave: str | None,
) -> VerifierSubject:
    """Enrols people here, or asks a server that has enrolled them.

    Args:
        section: The plan's ``[target]``.
        encoder: Which is opened already; ``None`` for a server that compares.
        photos: Of the people, which of them are enrolled, public ones, and those of strangers.
        spec: The images that it takes.
        leave: Who allowed the audit of a server.

    Raises:
        DarkroomError: If photos or verifier do not do.
    """
    false_accepts = section.false_accepts or 0.001
    if encoder is None:
        assert isinstance(section, ServedFacesSection)
        verifier = open_verifier(section, spec, names_of(photos[0]), authorized_by=leave)
        return settled(
            verifier,
            *photos,
            rule="the server's choice",
            threshold=section.accepts_from if verifier.threshold is None else verifier.threshold,
            false_accepts=false_accepts,
            pairs=section.pairs,
        )
    return enrol(
        encoder,
        *photos,
        store=stored_in(section, photos[0]),
        metric=section.compared,
        rule=section.rule,
        threshold=section.accepts_from,
        false_accepts=false_accepts,
    )


def stored_in(section: TargetSection, private: Photos) -> Store | None:
    """Returns the templates that a plan says are stored already, if it names any.

    Args:
        section: The plan's ``[target]``.
        private: Photos of the people.
    """
    stored = section.templates
    return None if stored is None else read_store(stored, names_of(private))


def names_of(photos: Photos) -> list[str]:
    """Returns what people's folders are called, in the order of their numbers."""
    return [photos.names[person] for person in np.unique(photos.people)]


def chosen_photos(photos: Photos, told: str | None) -> np.ndarray:
    """Tells which photos are enrolled, bool ``(photos,)``.

    Args:
        photos: Of the people.
        told: A slice of each person's, or ``None`` for the first half, one at least.
    """
    if told is not None:
        return photos.numbered(parse_slice(told))
    counts = np.bincount(photos.people)[photos.people]
    half: np.ndarray = photos.numbers < np.maximum(1, counts // 2)
    return half


def photos_in(section: EnrolledSection | FacesSection, path: Path, spec: ImageSpec) -> Photos:
    """Reads the photos that a section of a plan names.

    Args:
        section: Which people, and how photos fit.
        path: Where they are.
        spec: The images wanted.
    """
    people = None if section.people is None else parse_slice(section.people)
    return load_photos(path, spec, people=people, resize=section.resize)
