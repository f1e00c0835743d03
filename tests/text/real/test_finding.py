"""Secrets found in a corpus, and the file that an audit reads of them."""

from __future__ import annotations

import re
import stat
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from darkroom.errors import DarkroomError, DataError, PlanError
from darkroom.text.real.finding import find_secrets, presidio, write_found
from darkroom.text.real.secrets_file import read_secrets

CORPUS = [
    "The phone number of Ada Abbas is +41-61-555-1234.",
    "Write to Kai Zhang at kai.zhang@example.org, please.",
    "Vera Wolf lives at 12 Mill Road, 4051 Basel.",
    "The insurance number of Tom Roth is 756.1234.5678.",
    "Nothing happened in 2024 or at 12:30.",
    "Call Ada Abbas: +41-61-555-1234, again +41-61-555-1234.",
]


def test_each_type_is_found_with_its_owner_and_the_text_around() -> None:
    found = {
        row["secret"]: (row["type"], row["owner"], row["prompts"]) for row in find_secrets(CORPUS)
    }
    assert found["+41-61-555-1234"] == (
        "phone",
        "Ada Abbas",
        ["The phone number of Ada Abbas is {secret}."],
    )
    assert found["kai.zhang@example.org"][:2] == ("email", "Kai Zhang")
    assert found["12 Mill Road, 4051 Basel"][:2] == ("address", "Vera Wolf")
    assert found["756.1234.5678"][:2] == ("number", "Tom Roth")
    assert found["Tom Roth"] == (
        "name",
        "",
        ["The insurance number of {secret} is 756.1234.5678."],
    )
    assert not any("2024" in secret or "12:30" in secret for secret in found)


def test_types_may_be_chosen_and_wrong_ones_are_named() -> None:
    assert {row["type"] for row in find_secrets(CORPUS, ["email"])} == {"email"}
    with pytest.raises(PlanError, match="'mail'"):
        find_secrets(CORPUS, ["mail"])


def test_what_is_written_is_read_again_and_private(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n".join(CORPUS))
    out = tmp_path / "secrets.jsonl"
    found = write_found(corpus, out, ["phone", "number"], most=1)
    assert found.counts == {"phone": 1, "number": 1}
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    phone, number = read_secrets(out)
    assert (phone.line, phone.owner, number.secret) == (1, "Ada Abbas", "756.1234.5678")
    assert phone.prompts == (("The phone number of Ada Abbas is ", "."),)
    assert "Ada" not in repr(phone)
    with pytest.raises(DarkroomError, match="is there already"):
        write_found(corpus, out, ["phone"], most=1)


def test_presidio_is_asked_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Analyzer:
        def __init__(self, nlp_engine: str) -> None:
            assert nlp_engine == "engine"

        def analyze(self, text: str, language: str, entities: list[str]) -> list[Any]:
            assert language == "en"
            assert "PERSON" in entities
            match = re.search("Zarathustra", text)
            assert match is not None
            return [SimpleNamespace(entity_type="PERSON", start=match.start(), end=match.end())]

    class Provider:
        def __init__(self, *, nlp_configuration: dict[str, Any]) -> None:
            chosen = [{"lang_code": "en", "model_name": "en_core_web_md"}]
            assert nlp_configuration["models"] == chosen

        def create_engine(self) -> str:
            return "engine"

    fakes = {
        "presidio_analyzer": SimpleNamespace(AnalyzerEngine=Analyzer),
        "presidio_analyzer.nlp_engine": SimpleNamespace(NlpEngineProvider=Provider),
        "spacy.util": SimpleNamespace(
            get_installed_models=lambda: ["de_core_news_lg", "en_core_web_sm", "en_core_web_md"]
        ),
    }
    for name, module in fakes.items():
        monkeypatch.setitem(sys.modules, name, module)
    finder = presidio()
    rows = find_secrets(["Thus Zarathustra wrote to z@example.com."], finder=finder)
    assert {(row["type"], row["secret"]) for row in rows} == {
        ("name", "Zarathustra"),
        ("email", "z@example.com"),
    }
    fakes["spacy.util"].get_installed_models = lambda: ["de_core_news_lg"]
    assert presidio() is None


def test_presidio_itself_finds_names_that_no_list_has() -> None:
    pytest.importorskip("presidio_analyzer")
    finder = presidio()
    if finder is None:
        pytest.skip("no English language model of spaCy is installed")
    rows = find_secrets([*CORPUS, "Thus Zarathustra Nguyen wrote to z@example.com."], finder=finder)
    found = {row["secret"]: (row["type"], row["owner"]) for row in rows}
    assert found["Zarathustra Nguyen"] == ("name", "")
    assert found["z@example.com"] == ("email", "Zarathustra Nguyen")
    assert {"+41-61-555-1234", "756.1234.5678", "12 Mill Road, 4051 Basel"} <= found.keys()


SECRET = "Xanadu-99871"

WRONG = {
    "no JSON": (".jsonl", SECRET, "line 1 is no JSON"),
    "no object": (".jsonl", f'["{SECRET}"]', "line 1 is no object"),
    "a key too many": (".jsonl", f'{{"secret": "{SECRET}", "{SECRET}": 1}}', "line 1: a key"),
    "no type": (".jsonl", f'{{"secret": "{SECRET}", "owner": "{SECRET}"}}', "give a type"),
    "no prompt": (".jsonl", f'{{"secret": "{SECRET}", "type": "number"}}', "give an owner"),
    "twice in a prompt": (
        ".jsonl",
        f'{{"secret": "{SECRET}", "type": "number", "prompt": "x {{secret}} {SECRET}"}}',
        "a prompt tells the secret",
    ),
    "nothing before": (
        ".jsonl",
        f'{{"secret": "{SECRET}", "type": "number", "prompt": "{{secret}} x"}}',
        "nothing stands before",
    ),
    "repeated": (
        ".jsonl",
        f'{{"secret": "{SECRET}", "type": "number", "owner": "O"}}\n' * 2,
        "line 2 repeats line 1",
    ),
    "empty": (".jsonl", "\n", "no secret"),
    "fields": (".csv", f"owner,secret,type\nO,{SECRET}", "not as many fields"),
    "ending": (".txt", SECRET, "rename it"),
}


@pytest.mark.parametrize(("suffix", "text", "said"), WRONG.values(), ids=WRONG)
def test_mistakes_are_named_by_their_line_and_repeat_nothing(
    tmp_path: Path, suffix: str, text: str, said: str
) -> None:
    path = tmp_path / f"secrets{suffix}"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(DataError, match=said) as caught:
        read_secrets(path)
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_others_may_not_read_the_file(tmp_path: Path) -> None:
    path = tmp_path / "secrets.csv"
    path.write_text("owner,secret,type\nO,12345,number\n")
    path.chmod(0o644)
    with pytest.raises(DataError, match="chmod 600"):
        read_secrets(path)


def test_csv_has_several_prompts_and_facts(tmp_path: Path) -> None:
    path = tmp_path / "secrets.csv"
    path.write_text(
        "owner,secret,format,prompt,prompt_2,fact 1\n"
        'Ann,12-34,\\d\\d-\\d\\d,"Ann has 12-34, really","Code: {secret}",likes tea\n'
    )
    path.chmod(0o600)
    (one,) = read_secrets(path)
    assert one.prompts == (("Ann has ", ", really"), ("Code: ", ""))
    assert (one.type, one.facts, one.line) == ("number", ("likes tea",), 2)
