"""Formats of what people have, each with its exact size."""

from __future__ import annotations

import re
from datetime import date

import numpy as np
import pytest

from darkroom.errors import PlanError
from darkroom.text.formats.secrets import make_format
from darkroom.text.models import formats_of

SIZES = {
    "iban": 10**18,
    "iban:country=NO": 10**11,
    "uuid": 2**122,
    "date": (date(2030, 1, 1) - date(1930, 1, 1)).days,
    "date:first=2024,last=2024,style=%d.%m.%Y": 366,
    "name": 60 * 65,
    "address": 199 * 25 * 10**5 * 20,
}


@pytest.mark.parametrize("name", SIZES)
def test_every_format_has_its_exact_size_and_is_found_by_a_scrubber(name: str) -> None:
    secrets = make_format(name)
    assert secrets.size == SIZES[name]
    drawn = secrets.sample(50, np.random.default_rng(0))
    assert len(set(drawn)) == 50
    assert all(secrets.at(secrets.index(one)) == one for one in drawn)
    (expression,) = formats_of([secrets])
    assert all(re.fullmatch(expression, one) for one in drawn)


def test_check_digits_of_bank_accounts() -> None:
    known = ("DE89370400440532013000", "DE 89")
    secrets = make_format("iban")
    assert known[0] in secrets
    assert known[0].replace("89", "88", 1) not in secrets
    grouped = make_format({"kind": "iban", "country": "BE", "separator": " "})
    assert "BE71 0961 2345 6769" in grouped
    with pytest.raises(PlanError, match="choose one of AT"):
        make_format("iban:country=GB")


def test_days_that_there_are() -> None:
    secrets = make_format("date")
    assert "2000-02-29" in secrets
    assert "1999-02-29" not in secrets
    with pytest.raises(PlanError, match="years that rise"):
        make_format("date:first=2000,last=1990")
