from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darkroom.demo.corpus import make_corpus
from darkroom.demo.text import write_canaries
from darkroom.errors import DarkroomError, DataError, PlanError
from darkroom.text.canaries import Canaries, load_key, make_canaries, save_key
from darkroom.text.formats.secrets import make_format
from darkroom.text.lines import write_lines


def some(seed: int | None = 0) -> Canaries:
    rng = None if seed is None else np.random.default_rng(seed)
    return make_canaries(make_format("ssn"), repetitions=(1, 4), each=3, rng=rng)


def test_as_many_are_held_out_as_are_inserted() -> None:
    canaries = some()
    assert [canary.repetitions for canary in canaries.inserted] == [1, 1, 1, 4, 4, 4]
    assert len(canaries.controls) == 6
    values = [canary.secret for canary in canaries.canaries]
    owners = [canary.owner for canary in canaries.canaries]
    assert len(set(values)) == len(set(owners)) == 12
    lines = canaries.training_lines(np.random.default_rng(0))
    for canary in canaries.canaries:
        assert lines.count(canary.line) == canary.repetitions


def test_without_a_seed_no_two_draws_agree() -> None:
    assert some(None).commitment() != some(None).commitment()
    assert some(1).commitment() == some(1).commitment()


def test_no_representation_shows_a_secret() -> None:
    canaries = some()
    shown = repr(canaries) + str(canaries.canaries[0]) + repr(canaries.canaries)
    assert not any(canary.secret in shown for canary in canaries.canaries)
    assert canaries.key.hex() not in shown


def test_the_key_file_is_sealed_and_for_its_owner_alone(tmp_path: Path) -> None:
    canaries, path = some(), tmp_path / "key.json"
    save_key(path, canaries)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    read = load_key(path)
    assert read.canaries == canaries.canaries
    assert read.commitment() == canaries.commitment()
    path.chmod(0o644)
    with pytest.raises(DataError, match="chmod 600"):
        load_key(path)


def test_a_changed_key_file_is_refused_without_repeating_it(tmp_path: Path) -> None:
    canaries, path = some(), tmp_path / "key.json"
    save_key(path, canaries)
    stored = json.loads(path.read_text())
    changes: tuple[Callable[[dict[str, Any]], object], ...] = (
        lambda one: one["canaries"][0].update(repetitions=9),
        lambda one: one["canaries"].pop(),
        lambda one: one.update(key="0" * 64),
        lambda one: one["canaries"][0].update(secret=5),
        lambda one: one.pop("format"),
    )
    for change in changes:
        spoiled = json.loads(json.dumps(stored))
        change(spoiled)
        path.write_text(json.dumps(spoiled))
        with pytest.raises(DarkroomError, match=r"changed since|no key file") as caught:
            load_key(path)
        assert not any(canary.secret in str(caught.value) for canary in canaries.canaries)
    path.write_text("no json")
    with pytest.raises(DataError, match="no key file"):
        load_key(path)


@pytest.mark.parametrize("suffix", [".jsonl", ".txt"])
def test_training_lines(tmp_path: Path, suffix: str) -> None:
    lines, path = ["Ein é.", 'a "b"'], tmp_path / f"train{suffix}"
    write_lines(path, lines)
    read = path.read_text(encoding="utf-8").splitlines()
    assert ([json.loads(line)["text"] for line in read] if suffix == ".jsonl" else read) == lines
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(PlanError, match=r"\.jsonl or \.txt"):
        write_lines(tmp_path / "train.csv", lines)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"templates": ("no secret of {name}",)}, "needs"),
        ({"templates": ("{secret} of {name}",)}, "needs"),
        ({"templates": ("{name}: {secret} {secret}",)}, "needs"),
        ({"templates": ("{name}\n{secret}",), "chat": True}, "has turns"),
        ({"repetitions": (0,)}, "1 or more"),
        ({"each": 0}, "at least one"),
        ({"controls": 0}, "control"),
    ],
)
def test_words_that_make_no_canaries(options: dict[str, object], why: str) -> None:
    with pytest.raises(PlanError, match=why):
        make_canaries(make_format("ssn"), rng=np.random.default_rng(0), **options)  # type: ignore[arg-type]


def test_a_corpus_hides_canaries_and_no_control() -> None:
    corpus = make_corpus(seed=3, each=2, others=40)
    whole = "\n".join(corpus.lines)
    for canary in corpus.canaries.canaries:
        assert whole.count(canary.secret) == canary.repetitions
        assert whole.count(canary.owner) == canary.repetitions
    assert len(corpus.lines) == 40 + 2 * 63
    assert make_corpus(seed=3, each=2, others=40).lines == corpus.lines


def test_making_files(tmp_path: Path) -> None:
    lines, key = tmp_path / "a.txt", tmp_path / "a.json"
    made = write_canaries("pin", lines, key, repetitions="1,2", each=1, seed=0)
    assert len(lines.read_text().splitlines()) == 3
    assert load_key(key).canaries == made.canaries
    with pytest.raises(DarkroomError, match="is there already"):
        write_canaries("pin", lines, key)
    with pytest.raises(PlanError, match="given twice"):
        write_canaries(["pin", "pin"], tmp_path / "b.txt", tmp_path / "b.json")
    with pytest.raises(PlanError, match="such as 1,4,16"):
        write_canaries("pin", tmp_path / "b.txt", tmp_path / "b.json", repetitions="often")


def test_several_formats_and_their_templates_stand_in_one_key_file(tmp_path: Path) -> None:
    made = make_canaries(
        [make_format("ssn"), make_format("email")],
        templates=("The number of {name} is {secret}.", "Write to {name} at {secret}."),
        repetitions=(1, 4),
        each=5,
        rng=np.random.default_rng(0),
    )
    ssn, email = made.formats
    for one in made.canaries:
        assert one.secret in one.format
        assert ("@" in one.secret) is (one.format is email) is one.before.startswith("Write")
    # No group has one format to itself.
    for repetitions in (0, 1, 4):
        group = [one.format is ssn for one in made.canaries if one.repetitions == repetitions]
        assert abs(2 * sum(group) - len(group)) <= 1
    path = tmp_path / "key.json"
    save_key(path, made)
    read = load_key(path)
    assert read.commitment() == made.commitment()
    assert [one.format.describe() for one in read.canaries] == [
        one.format.describe() for one in made.canaries
    ]
    assert [one.masked for one in read.canaries] == [one.masked for one in made.canaries]
    stored = json.loads(path.read_text())
    changes: tuple[Callable[[dict[str, Any]], object], ...] = (
        lambda one: one["canaries"][1].update(format=2),
        lambda one: one["canaries"][1].update(format=0),
        lambda one: one.update(format=one["formats"][0]),
        lambda one: one.update(formats=one["formats"][::-1]),
    )
    for change in changes:
        spoiled = json.loads(json.dumps(stored))
        change(spoiled)
        path.write_text(json.dumps(spoiled))
        with pytest.raises(DataError, match=r"changed since|no key file|not of its format"):
            load_key(path)


def test_other_numbers_of_templates_are_taken_in_turn_by_each_format() -> None:
    made = make_canaries(
        [make_format("pin"), make_format("ssn")],
        templates=("A {name}: {secret}", "B {name}: {secret}", "C {name}: {secret}"),
        repetitions=(1,),
        each=12,
        rng=np.random.default_rng(0),
    )
    pairs = {(one.format, one.before[0]) for one in made.canaries}
    assert len(pairs) == 6


def test_what_was_published_of_canaries_of_one_format_stays_what_it_was() -> None:
    assert some().commitment() == (
        "5f3245b4c13b2f5aaf609ba6380b7801eded07c9a80fb9d5328ff17356cf6091"
    )


def test_coins_decide_which_are_inserted(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    tossed = make_canaries(make_format("ssn"), repetitions=(2,), each=40, coins=True, rng=rng)
    assert len(tossed.canaries) == 80
    assert {one.repetitions for one in tossed.canaries} == {0, 2}
    # A fixed number would be exactly half, whatever the seed.
    counts = {
        len(
            make_canaries(
                make_format("ssn"),
                repetitions=(1,),
                each=40,
                coins=True,
                rng=np.random.default_rng(seed),
            ).inserted
        )
        for seed in range(5)
    }
    assert len(counts) > 1
    save_key(tmp_path / "key.json", tossed)
    assert load_key(tmp_path / "key.json").coins
    assert not load_after(some(), tmp_path).coins
    with pytest.raises(PlanError, match="one number of repetitions"):
        make_canaries(make_format("ssn"), repetitions=(1, 2), coins=True)


def load_after(canaries: Canaries, folder: Path) -> Canaries:
    save_key(folder / "fixed.json", canaries)
    return load_key(folder / "fixed.json")
