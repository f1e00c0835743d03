"""Output defences made from the words of a plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from darkroom.defenses.registry import OUTPUT_DEFENSES
from darkroom.errors import PlanError


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("roundin", {}, "did you mean 'rounding'"),
        ("rounding", {"digits": 2}, "no parameter 'digits'"),
        ("rounding", {"decimals": -1}, "0 to 15"),
        ("rounding", {"decimals": "many"}, "got 'many'"),
        ("noise", {"deviation": -1}, "0 or more"),
        ("noise", {"kind": "pink"}, "gaussian or laplace"),
        ("top-k", {"k": 0}, "1 or more"),
        ("rounding", {"step": 0}, "above 0"),
        ("temperature", {"degree": 0}, "above 0"),
        ("reverse-sigmoid", {"beta": 2}, "0 to 1"),
        ("purify", {"share": 1.5}, "0 to 1"),
        ("purify", {"means": "nowhere.npy"}, "nowhere.npy"),
        ("purify", {"table": [[1]]}, "no parameter 'table'"),
        ("stealthy-shield", {"temperature": 0}, "above 0"),
        ("sticky-noise", {}, "needs a secret"),
        ("sticky-noise", {"secret": "hunter2-hunter2-hunter2"}, "where it is"),
        ("sticky-noise", {"secret": "env:DARKROOM_NO_SUCH_SECRET"}, "DARKROOM_NO_SUCH_SECRET"),
        ("sticky-noise", {"secret": "file:no-such-file"}, "no-such-file"),
        ("sticky-noise", {"key": "x"}, "no parameter 'key'"),
        ("sticky-noise", {"cell": 0}, "above 0"),
    ],
)
def test_wrong_words_are_one_line(name: str, parameters: dict[str, object], message: str) -> None:
    with pytest.raises(PlanError, match=message) as caught:
        OUTPUT_DEFENSES.make(name, parameters).prepared(Path())
    assert "\n" not in str(caught.value)
