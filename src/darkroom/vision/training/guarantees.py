"""What a private training on photos guarantees of people."""

from __future__ import annotations

from darkroom.auditing.record import Chance, Privacy


def chances(privacy: Privacy, baseline: float, photos: int, of: str = "") -> tuple[Chance, ...]:
    """Bounds the chance that any attack on a trained model is right, about a person first.

    Args:
        privacy: What the training guarantees, of one photo or of one person.
        baseline: The chance to be right without the model.
        photos: The most photos of a person: who has k is protected like a group of k.
        of: What is added to the name of the unit.
    """
    # It brings all of SciPy's distributions, which are slow to import.
    from darkroom.statistics.reconstruction_bound import Mechanism, reconstruction_bound

    person, photo = f"person{of}", f"photo{of}"
    if privacy.noise_multiplier <= 0:
        return (Chance(about=person, examples=photos, most=1.0),)
    noise = Mechanism(privacy.noise_multiplier, privacy.sample_rate, privacy.steps)
    alone = reconstruction_bound(baseline, noise)
    if privacy.unit == "person":
        return (Chance(about=person, examples=photos, most=alone),)
    together = reconstruction_bound(baseline, noise, records=photos)
    return (
        Chance(about=person, examples=photos, most=together),
        Chance(about=photo, examples=1, most=alone),
    )
