"""Real secrets from end to end: what is found, what is not, and that nothing is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import transformers
from tests.support.records import cells_of, known
from tests.support.tiny_language import memoriser

from darkroom.commands.audits import report
from darkroom.demo.language_models import save_model
from darkroom.errors import DarkroomError
from darkroom.runs import Run, audit_plan, open_run
from darkroom.text.real.record import RealCell
from darkroom.text.real.secrets_file import write_secrets

# What no byte of a page may tell, no chart may either.
pytestmark = pytest.mark.drawn

PLAN = """\
[run]
name = "own"
out = "runs"

[target]
kind = "transformers"
load = "model"

[private]
secrets = "secrets.jsonl"
{base}
prompts = ["given", "paraphrases", "facts"]
decoys = 60
rank_rows = 60
near_rows = 40

[[attack]]
name = "best-first"
rows = 40

[[attack]]
name = "sampling"
rows = 12
anywhere = 2
"""

BASE = 'base = { kind = "transformers", load = "before" }'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that knows three of six codes, and the same before it learned them."""
    folder = tmp_path_factory.mktemp("own")
    trained = memoriser()
    save_model(trained.target.model.float(), trained.wrapped, folder / "model")
    save_model(trained.untrained(), trained.wrapped, folder / "before")
    trained.target.model.double()
    rows = [
        {
            "owner": one.owner,
            "secret": one.secret,
            "type": "number",
            "prompts": [one.before + "{secret}" + one.after],
            "facts": ["A letter came."],
        }
        for one in trained.canaries.canaries
    ]
    write_secrets(folder / "secrets.jsonl", rows)
    (folder / "plan.toml").write_text(PLAN.format(base=BASE).replace("runs", str(folder / "runs")))
    return folder


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    return audit_plan(folder / "plan.toml", progress=False)


def inserted() -> list[bool]:
    return [one.repetitions > 0 for one in memoriser().canaries.canaries]


@pytest.mark.medium
def test_those_known_by_heart_are_found_and_no_others(run: Run) -> None:
    searched, sampled = cells_of(run, RealCell)
    assert run.verdict.outcome == "leak"
    for cell in (searched, sampled):
        found = [row.extracted for row in cell.details.secrets]
        assert sum(found) >= 2
        assert all(own for own, out in zip(inserted(), found, strict=True) if out)
        (kind,) = cell.details.types
        assert (kind.type, kind.n, kind.decoys.estimate) == ("number", 6, 0)
        assert kind.extracted.estimate == pytest.approx(sum(found) / 6)
    for row, own in zip(searched.details.secrets, inserted(), strict=True):
        assert row.prompts == 5
        if own and row.extracted:
            assert known(row.exposure).exact
            assert known(known(row.exposure).added) > 8
            assert row.best_prompt == "given 1"
            assert known(row.p_value) < 0.06
        if not own:
            assert known(row.p_value) > 0.06
            assert known(row.exposure).bits < 8
    assert known(searched.bits).estimate > 5
    assert searched.details.types[0].discoverable[1].verbatim.estimate == pytest.approx(
        searched.success.estimate
    )


@pytest.mark.medium
def test_near_misses_and_continuations_agree_with_exact_probabilities(run: Run) -> None:
    searched, sampled = cells_of(run, RealCell)
    for exact, drawn in zip(searched.details.secrets, sampled.details.secrets, strict=True):
        written = known(exact.written)
        assert written.verbatim.low == written.verbatim.high
        assert known(written.near) >= written.verbatim.estimate
        assert known(drawn.written).verbatim.high >= written.verbatim.estimate / 2


def told_by(folder: Path, secrets: Path) -> list[str]:
    """What of the secrets and their owners is in any file of a folder."""
    words = {
        word.encode()
        for line in secrets.read_text().splitlines()
        for word in (json.loads(line)["secret"], json.loads(line)["owner"])
    }
    content = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    return [word.decode() for word in words if any(word in some for some in content)]


@pytest.mark.medium
def test_the_console_has_a_row_a_type(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    report(run.folder)
    lines = [line for line in capfd.readouterr().out.splitlines() if "number (6)" in line]
    assert len(lines) == 2
    assert "50% (" in lines[0]  # three of six, and none before
    assert " 0% (" in lines[0]


@pytest.mark.medium
def test_no_byte_tells_a_secret_or_an_owner(
    run: Run, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    secrets = folder / "secrets.jsonl"
    assert told_by(run.folder, secrets) == []
    capfd.readouterr()
    plan = folder / "aloud.toml"
    plan.write_text(quick(folder).replace('"own"', '"aloud"'))
    audit_plan(plan, progress=True)
    said = capfd.readouterr()
    assert "Ranking secrets" in said.err
    for line in secrets.read_text().splitlines():
        row = json.loads(line)
        assert row["secret"] not in said.out + said.err
        assert row["owner"] not in said.out + said.err
    # What was asked for is found by the same search.
    open_run(run.folder, reveal=True)
    assert told_by(run.folder, secrets)
    open_run(run.folder)
    assert told_by(run.folder, secrets) == []


def quick(folder: Path) -> str:
    """The plan with one prompt a secret and one attack."""
    text = (folder / "plan.toml").read_text().replace(', "paraphrases", "facts"', "")
    return text[: text.rindex("[[attack]]")]


@pytest.mark.medium
def test_what_the_base_knew_is_no_evidence(folder: Path) -> None:
    text = quick(folder)
    plan = folder / "known.toml"
    text = text.replace('load = "before"', 'load = "model"').replace('"own"', '"known"')
    plan.write_text(f'{text}\n[check]\nignore = ["base"]\n')
    cell = cells_of(audit_plan(plan, progress=False), RealCell)[0]
    assert cell.success.estimate == cell.baseline.estimate > 0
    assert all(row.p_value == 1 for row in cell.details.secrets)
    assert known(cell.bits).estimate == pytest.approx(0, abs=1e-6)
    assert known(cell.details.types[0].before).estimate == cell.success.estimate


@pytest.mark.medium
def test_a_model_that_knows_nothing_shows_nothing(folder: Path) -> None:
    text = quick(folder).replace(BASE, "")
    plan = folder / "nothing.toml"
    text = text.replace('load = "model"', 'load = "before"').replace('"own"', '"nothing"')
    plan.write_text(text + '\n[check]\nignore = ["language"]\n')
    run = audit_plan(plan, progress=False)
    assert run.verdict.outcome != "leak"
    assert all(cell.success.estimate == 0 for cell in run.cells)
    assert "was not given" in run.report.read_text()


@pytest.mark.medium
@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("canaries = 'k.json'", "one plan audits one kind of data"),
        ("decoy = 3", "decoys"),
    ],
)
def test_wrong_plans_are_named(folder: Path, key: str, said: str) -> None:
    refused(folder, f"[private]\n{key}", said)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('[[training]]\nname = "scrub"', r"\[\[training\]\] needs canaries"),
        ('[guarded]\nurl = "http://127.0.0.1:9/v1"\nmodel = "m"', r"\[guarded\] needs canaries"),
    ],
)
def test_what_needs_canaries_is_refused(folder: Path, table: str, said: str) -> None:
    refused(folder, f"{table}\n\n[private]", said)


def refused(folder: Path, private: str, said: str) -> None:
    """Audits with another beginning of ``[private]``, and looks for what is said."""
    plan = folder / "wrong.toml"
    text = (folder / "plan.toml").read_text()
    plan.write_text(text.replace("[private]", private))
    with pytest.raises(DarkroomError, match=said):
        audit_plan(plan, progress=False)


@pytest.mark.medium
def test_an_encoder_with_a_decoder_is_given_the_prompts_as_it_reads_them(
    folder: Path, tmp_path: Path
) -> None:
    wrapped = memoriser().wrapped
    config = transformers.BartConfig(
        vocab_size=len(wrapped),
        d_model=8,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        max_position_embeddings=128,
        decoder_start_token_id=wrapped.bos_token_id,
    )
    save_model(transformers.BartForConditionalGeneration(config), wrapped, tmp_path / "model")
    (tmp_path / "held_out.txt").write_text("A letter came to nobody.\n")
    text = quick(folder).replace(BASE, f'held_out = "{tmp_path / "held_out.txt"}"')
    text = text.replace('load = "model"', f'load = "{tmp_path / "model"}"')
    plan = folder / "encoder.toml"
    plan.write_text(text.replace('"own"', '"encoder"') + '\n[check]\nignore = ["language"]\n')
    run = audit_plan(plan, progress=False)
    (cell,) = cells_of(run, RealCell)
    assert run.verdict.outcome != "leak"
    assert known(cell.utility.perplexity) > 10
    assert all(row.exposure is not None for row in cell.details.secrets)


def test_held_out_conversations_need_a_template(folder: Path) -> None:
    turns = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Good day"}]
    (folder / "chats.jsonl").write_text(json.dumps({"messages": turns}) + "\n")
    refused(folder, '[private]\nheld_out = "chats.jsonl"', "no chat template")


def test_a_base_that_is_the_model_itself_is_told(folder: Path) -> None:
    text = (folder / "plan.toml").read_text().replace('load = "before"', 'load = "model"')
    (folder / "same.toml").write_text(text.replace('name = "own"', 'name = "same"'))
    verdict = audit_plan(folder / "same.toml", progress=False).verdict
    assert verdict.outcome == "cannot tell"
    assert "the very model that is audited" in verdict.sentence
