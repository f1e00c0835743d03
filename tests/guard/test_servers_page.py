"""The page with a policy for each server: all of them can be used as they stand."""

from __future__ import annotations

import re

import pytest
from benchmarks.guard.operating.real_servers import PAGE, cases, policies, policy_of

from darkroom.guard.policy import parse_policy
from darkroom.guard.wire.registry import make_wires


@pytest.mark.parametrize("name", policies())
def test_a_policy_of_the_page_can_be_used(name: str) -> None:
    policy = parse_policy(policy_of(name), name)
    assert make_wires(policy)
    # A language model's words are not defended, and the page says so of no other.
    unsafe = [line for line in policy.warnings() if "confidences leave" in line]
    assert bool(unsafe) == (name == "OpenAI")


def test_every_server_of_the_page_is_tried() -> None:
    headings = re.findall(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [case.name for case in cases()] == headings[:-1] == list(policies())
