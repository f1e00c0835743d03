"""The content of a ``cell.json`` of a language model."""

from __future__ import annotations

from typing import Any

from tests.report.conftest import image_cell

BITS = 29.9


def interval(hits: int, n: int) -> dict[str, float]:
    return {"estimate": hits / n, "low": max(0.0, hits / n - 0.2), "high": min(1.0, hits / n + 0.2)}


def canary(number: int, repetitions: int, bits: float | None, *, extracted: bool) -> dict[str, Any]:
    exposure = {
        "surprise": 5.0,
        "bits": bits,
        "low": bits,
        "high": bits,
        "method": "exact",
        "extrapolated": None,
        "fit": None,
    }
    return {
        "owner": f"Ada {number}",
        "secret": f"{number:012x}",
        "masked": "•••-•••",
        "candidates": BITS,
        "repetitions": repetitions,
        "extracted": extracted,
        "certain": extracted,
        "queries": 12,
        "exposure": None if bits is None else exposure,
        "p_value": None if bits is None else 0.01,
        "p_adjusted": None if bits is None else 0.04,
    }


def details(hits: int, *, measured: bool = True, formats: int = 1) -> dict[str, Any]:
    bits = BITS if measured else None
    groups = []
    for repetitions, found in ((0, 0), (1, 0), (8, hits)):
        exposure = {"median": 1.0, "least": 0.1, "most": BITS} if measured else None
        groups.append(
            {
                "repetitions": repetitions,
                "n": 4,
                "extracted": interval(found, 4),
                "exposure": exposure,
            }
        )
    canaries = [
        canary(
            number,
            repetitions,
            bits if repetitions else (None if bits is None else 1.0),
            extracted=repetitions == 8 and number % 4 < hits,
        )
        for number, repetitions in enumerate([0] * 4 + [1] * 4 + [8] * 4)
    ]
    nodes = [
        {"parent": -1, "right": True, "text": ""},
        {"parent": 0, "right": True, "text": "•"},
        {"parent": 0, "right": False, "text": "•"},
    ]
    tree = {
        "owner": "Ada 8",
        "masked": "•••-•••",
        "candidates": BITS,
        "repetitions": 8,
        "found": hits > 0,
        "asked": 3,
    }
    epsilon = {
        "repetitions": 1,
        "inserted": 4,
        "controls": 4,
        "delta": 1e-5,
        "pure": 0.4,
        "gaussian": 0.7,
        "coins": False,
    }
    worst = {
        "name": "Ada 8",
        "p_adjusted": 1e-7,
        "sentence": "the secret of Ada 8.",
    }
    return {
        "threat_model": ["The attacker knows the format."],
        "attack": {"name": "best-first", "parameters": {"rows": 500}},
        "prior": {"name": "format", "parameters": {"format": r"\d{3}-\d{3}"}},
        "formats": [
            {
                "description": description,
                "candidates": "1000000",
                "bits": BITS,
                "n": 4,
                "extracted": interval(hits // 2, 4),
                "controls": interval(0, 4),
                "exposure": {"median": 1.0, "least": 0.1, "most": BITS} if measured else None,
            }
            for description in (r"\d{3}-\d{3}", r"[a-f]{6}")[:formats]
        ],
        "commitment": "ab" * 32,
        "groups": groups,
        "canaries": canaries,
        "memory": {"p_value": 1e-6, "control_median": 1.0, "inserted_median": BITS}
        if measured
        else None,
        "before": {"extracted": interval(0, 8), "exposure_median": 1.1},
        "epsilon": epsilon if measured else None,
        "tree": {**tree, "nodes": nodes} if measured else None,
        "worst_off": worst if measured else None,
    }


def text_cell(hits: int, *, measured: bool = True, formats: int = 1) -> dict[str, Any]:
    """A cell in which so many of eight secrets, of so many formats, were extracted."""
    cell = image_cell(goals=8, hits=hits)
    del cell["judges"]
    return {**cell, "kind": "text", "details": details(hits, measured=measured, formats=formats)}
