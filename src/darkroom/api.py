"""The Python interface: audit a model, get its run."""

# long: every option of four functions is a parameter of its own, with a line of help

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import tomli_w
from numpy.typing import NDArray

from darkroom.auditing.plan import validate
from darkroom.auditing.progress import Reporter
from darkroom.named import words_of
from darkroom.runs import Run, finished

# A kind's own modules are imported by the function that audits it: they need its libraries.
if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

    from darkroom.images.targets.base import Target
    from darkroom.text.targets.base import LanguageTarget
    from darkroom.verifiers.targets.base import Encoder
    from darkroom.wire.answers import Outputs

Part = str | Mapping[str, Any] | object
"""A part: its name, a mapping as a plan's table has it, or itself, such as ``MyAttack(steps=5)``.

In a mapping, ``part`` may be the part itself, and so may ``prior``.
"""

Labelled = tuple[Any, Any]
"""Images ``(n, channels, height, width)`` with the person on each, ``(n,)``: arrays, tensors or
lists; images as floats in the model's range, or as bytes."""


# long: every option is a parameter of its own, so that help shows it
def audit(
    model: nn.Module | Target | Any,
    private: Labelled,
    *,
    public: Labelled | NDArray[np.float32] | None = None,
    strangers: Labelled | NDArray[np.float32] | None = None,
    trained_on: str | NDArray[np.bool_] | Sequence[int] = ":",
    names: Sequence[str] | None = None,
    attacks: Sequence[Part] = ("gradient",),
    defenses: Sequence[Part] = (),
    training: Sequence[Part] = (),
    recipe: Mapping[str, Any] | None = None,
    judges: Mapping[str, Any] | None = None,
    naive: bool = False,
    ignore_checks: Sequence[str] = (),
    limit: Mapping[str, Any] | None = None,
    guarded: Mapping[str, Any] | None = None,
    authorized_by: str | None = None,
    device: str = "cpu",
    batch: int = 256,
    precision: Literal["single", "half"] = "single",
    memory: int | str | None = None,
    value_range: tuple[float, float] = (0.0, 1.0),
    outputs: Outputs = "logits",
    name: str = "audit",
    out: str | Path = "runs",
    seed: int = 0,
    resume: bool = False,
    workers: int = 1,
    cache: str | Path | None = None,
    progress: bool = True,
) -> Run:
    """Attacks a classifier of one's own, judges what comes out, and writes a report.

    Args:
        model: A PyTorch module that takes ``(n, channels, height, width)`` and returns ``(n,
            classes)``, which is given back as it was; a scikit-learn classifier of flattened
            images; or a target, which needs no ``value_range``, ``outputs``, ``device``, ``batch``
            and ``precision``.
        private: Photos of the model's classes, and the class on each, as a number or a name; only
            judges see them.
        public: Photos of other people that an attacker may have; with who is on each if known.
        strangers: Photos of further people, who take part in nothing: among them the right person
            is ranked. Every fourth public person when left out, where there are enough.
        trained_on: Which photos the model was trained on: of each person, as a slice such as
            ``"0:7"``; or of all, as a mask or as positions. The others serve the judges.
        names: The people's names, one a class in the model's order. Labels that are names are taken
            to be in the order of the alphabet when left out.
        attacks: Names, mappings as a plan's ``[[attack]]`` has them, or attacks themselves.
        defenses: Names, mappings as a plan's ``[[defense]]`` has them, or defences themselves.
        training: Names, mappings as a plan's ``[[training]]`` has them, or training defences
            themselves; with any, ``model`` is untrained, and Darkroom trains it without a defence
            and with each.
        recipe: How to train, as a plan's ``[recipe]`` has it.
        judges: How the judges are trained, as a plan's ``[judges]`` has it.
        naive: Whether attackers who are not told of the defences are run too.
        ignore_checks: Checks of the subject whose failure is put up with, by name.
        limit: What is accepted, as a plan's ``[limit]`` has it.
        guarded: The same model behind a guard, as a plan's ``[guarded]`` has it.
        authorized_by: Who allowed it; needed with ``guarded``.
        device: Where the model runs.
        batch: The most rows answered at a time.
        precision: Whether a module's own passes are in ``half`` precision: ``bfloat16``, or
            ``float16`` on devices without it.
        memory: Bytes that the audit may take in all, or words such as ``"2 GB"``; 4 GiB when left
            out.
        value_range: The values of black and of full intensity.
        outputs: Whether the model returns ``logits`` or ``probabilities``.
        name: The run's; its folder is ``out/name``.
        out: The folder of all runs.
        seed: The same seed gives the same results.
        resume: Whether to go on with a run that is there already.
        workers: Processes of this machine that share the cells; model and data are sent to them.
        cache: A folder of judges, priors and trained models that runs share.
        progress: Whether to show bars on standard error.

    Raises:
        DarkroomError: If an argument does not do; one sentence says which, why and how to mend it.
    """
    from darkroom.images.given.models import as_target, target_table, unchanged
    from darkroom.images.given.photos import as_images, as_pair, as_people, as_public, as_trained
    from darkroom.images.job import ImageJob
    from darkroom.images.plan import ImagePlan
    from darkroom.images.subject import Subject
    from darkroom.vision.photos import Photos
    from darkroom.vision.subject import hold_apart

    pixels, labels = as_pair(private, "private")
    shape = as_images(pixels, None, "private").shape[1:]
    table = {
        "run": _run(name, out, seed, naive, authorized_by, cache) | _given(memory=memory),
        "check": {"ignore": list(ignore_checks)},
        "target": target_table(
            model,
            shape=list(shape),
            range=list(value_range),
            outputs=outputs,
            device=device,
            batch=batch,
            precision=precision,
        ),
        "private": {
            "images": "(array)",
            "trained_on": trained_on if isinstance(trained_on, str) else ":",
        },
        "attack": _tables(attacks),
        "defense": _tables(defenses),
        "training": _tables(training),
        **_given(recipe=recipe, judges=judges, guarded=guarded, limit=limit),
        **({} if public is None else {"public": {"images": "(array)"}}),
    }
    plan = validate(ImagePlan, table, "darkroom.audit")
    with unchanged(model):
        target = as_target(
            model,
            shape,
            value_range=value_range,
            outputs=outputs,
            device=device,
            batch=batch,
            memory=plan.run.memory,
            precision=precision,
        )
        people, called = as_people(labels, target, names)
        photos = Photos.of(as_images(pixels, target.spec, "private"), people, called)
        trained = as_trained(trained_on, people, photos)
        others = as_public(public, target.spec, "public")
        apart = as_public(strangers, target.spec, "strangers")
        if apart is None:
            others, apart = hold_apart(others)
        subject = Subject(target, photos, trained, others, apart)
        job = ImageJob(plan, _text(table, "audit"), "darkroom.audit(...)", subject, Path.cwd())
        return finished(job, resume, Reporter(shown=progress), workers)


# long: every option is a parameter of its own, so that help shows it
def audit_verifier(
    encoder: nn.Module | Callable[[Any], Any] | Encoder,
    private: Labelled,
    *,
    public: Labelled,
    strangers: Labelled | None = None,
    enrol: str | None = None,
    metric: Literal["cosine", "euclidean"] = "cosine",
    rule: Literal["mean", "best"] = "mean",
    threshold: float | None = None,
    false_accepts: float | None = None,
    attacks: Sequence[Part] = ("evolution",),
    defenses: Sequence[Part] = (),
    training: Sequence[Part] = (),
    recipe: Mapping[str, Any] | None = None,
    leak: Mapping[str, Any] | None = None,
    judges: Mapping[str, Any] | None = None,
    naive: bool = False,
    ignore_checks: Sequence[str] = (),
    limit: Mapping[str, Any] | None = None,
    value_range: tuple[float, float] = (0.0, 1.0),
    name: str = "audit",
    out: str | Path = "runs",
    seed: int = 0,
    cache: str | Path | None = None,
    resume: bool = False,
    progress: bool = True,
) -> Run:
    """Enrols people at an encoder of faces, attacks what answers, and writes a report.

    Args:
        encoder: A PyTorch module that takes ``(n, channels, height, width)`` and returns templates
            ``(n, size)``; or a function of such arrays, with a row of NaN where it finds no face.
        private: Photos of the people, and who is on each, as a number or a name.
        public: Photos of other people whom an attacker has, and who is on each.
        strangers: Photos of further people, who take part in nothing: they set the operating point,
            and among them the right person is ranked. Every fourth public person when left out,
            where there are enough.
        enrol: Which photos of each person are enrolled, such as ``"0:3"``; the first half when left
            out. The others serve the judges.
        metric: How templates are compared.
        rule: Whether the mean of a person's templates is kept, or all, of which the best counts.
        threshold: The similarity from which on, or the distance up to which, it accepts.
        false_accepts: The share of strangers whom it may accept, where no threshold is given;
            0.001 when left out.
        attacks: Names, mappings as a plan's ``[[attack]]`` has them, or attacks themselves.
        defenses: Names, mappings as a plan's ``[[defense]]`` has them, or defences themselves.
        training: Names, mappings as a plan's ``[[training]]`` has them, or training defences
            themselves; with any, ``encoder`` is an untrained module, and Darkroom trains it without
            a defence and with each.
        recipe: How to train, as a plan's ``[recipe]`` has it; on the enrolled photos unless its
            ``images`` names others.
        leak: How many templates of each person have leaked, as a plan's ``[leak]`` has it; one of
            each when left out.
        judges: How the judges are trained, as a plan's ``[judges]`` has it.
        naive: Whether attackers who are not told of the defences are run too.
        ignore_checks: Checks of the subject whose failure is put up with, by name.
        limit: What is accepted, as a plan's ``[limit]`` has it.
        value_range: The values of black and of full intensity.
        name: The run's; its folder is ``out/name``.
        out: The folder of all runs.
        seed: The same seed gives the same results.
        cache: Where judges and priors are kept for other runs; in the run when left out.
        resume: Whether to go on with a run that is there already.
        progress: Whether to show bars on standard error.

    Raises:
        DarkroomError: If an argument does not do; one sentence says which, why and how to mend it.
    """
    from darkroom.images.given.models import unchanged
    from darkroom.images.given.photos import as_images, as_pair, as_public
    from darkroom.verifiers.enrolment import chosen_photos, enrolled_at
    from darkroom.verifiers.job import VerifierJob
    from darkroom.verifiers.many_leaked import leaking
    from darkroom.verifiers.plan import VerifierPlan
    from darkroom.verifiers.targets.load import as_encoder
    from darkroom.vision.photos import Photos
    from darkroom.vision.spec import ImageSpec
    from darkroom.vision.subject import hold_apart

    pixels, labels = as_pair(private, "private")
    spec = ImageSpec.of(as_images(pixels, None, "private").shape[1:], value_range)
    table = {
        "run": _run(name, out, seed, naive, None, cache),
        "check": {"ignore": list(ignore_checks)},
        "target": {
            "load": f"(object):{getattr(encoder, '__name__', type(encoder).__name__)}",
            "shape": list(spec.shape),
            "range": list(value_range),
            "metric": metric,
            "rule": rule,
            **_given(threshold=threshold, false_accepts=false_accepts),
        },
        "private": {"enrolled": "(array)", **_given(enrol=enrol)},
        "public": {"images": "(array)"},
        "attack": _tables(attacks),
        "defense": _tables(defenses),
        "training": _tables(training),
        **_given(judges=judges, limit=limit, leak=leak, recipe=recipe),
    }
    plan = validate(VerifierPlan, table, "darkroom.audit_verifier")
    known, places = np.unique(np.asarray(labels), return_inverse=True)
    names = tuple(f"person-{one}" if known.dtype.kind in "iu" else str(one) for one in known)
    photos = Photos.of(as_images(pixels, spec, "private"), places, names)
    others, apart = as_public(public, spec, "public"), as_public(strangers, spec, "strangers")
    if apart is None:
        others, apart = hold_apart(others)
    assert others is not None
    with unchanged(encoder):
        given = photos, chosen_photos(photos, enrol), others, apart
        subject = enrolled_at(plan.target, as_encoder(encoder, spec), given, spec, None)
        if plan.leak is not None:
            subject = leaking(subject, plan.leak)
        text = _text(table, "audit_verifier")
        job = VerifierJob(plan, text, "darkroom.audit_verifier(...)", subject, Path.cwd())
        return finished(job, resume, Reporter(shown=progress))


# long: every option is a parameter of its own, so that help shows it
def audit_table(
    model: Any,
    private: pd.DataFrame,
    public: pd.DataFrame,
    *,
    response: str,
    sensitive: str | Sequence[str] | Mapping[str, Any],
    trained_on: str = ":",
    unknown: Sequence[str] = (),
    derived: Sequence[str] = (),
    positive: str | None = None,
    knows: Literal["response", "prediction"] = "response",
    imputer: Literal["auto", "logistic", "forest"] = "auto",
    attacks: Sequence[Part] = ("auto",),
    defenses: Sequence[Part] = (),
    training: Sequence[Part] = (),
    naive: bool = False,
    ignore_checks: Sequence[str] = (),
    guarded: Mapping[str, Any] | None = None,
    authorized_by: str | None = None,
    outputs: Literal["predictions", "scores"] = "predictions",
    name: str = "audit",
    out: str | Path = "runs",
    seed: int = 0,
    resume: bool = False,
    workers: int = 1,
    cache: str | Path | None = None,
    progress: bool = True,
) -> Run:
    """Infers sensitive columns of a model of tables of one's own, and writes a report.

    Args:
        model: A fitted scikit-learn estimator or pipeline, or a function that takes a DataFrame
            and returns predictions, or probabilities in the order of the response's sorted values;
            or a target, whose schema must have the same response and sensitive columns.
        private: The truth: the model's inputs in its order, and the response.
        public: Rows that the attacker may have, with the same columns; none of the private ones.
        response: The column that the model predicts.
        sensitive: The column to infer, or several; or as a mapping several that are one attribute,
            such as ``{"columns": ["sex_f", "sex_m"], "encoding": "one-hot"}``.
        trained_on: Which private rows the model was trained on, as a slice such as ``"0:800"``.
        unknown: Further columns that the attacker does not know.
        derived: Columns that follow from the sensitive one, and change with it.
        positive: The sensitive value that precision, recall and AUC are about; the rarest when
            left out.
        knows: Whether the attacker has each record's true ``response`` or the model's
            ``prediction`` of it.
        imputer: The baseline that is trained on public rows; ``auto`` takes the better one.
        attacks: Names, mappings as a plan's ``[[attack]]`` has them, or attacks themselves.
        defenses: Names, mappings as a plan's ``[[defense]]`` has them, or defences themselves.
        training: Names, mappings as a plan's ``[[training]]`` has them, or training defences
            themselves; with any, ``model`` is an estimator that Darkroom fits, without a defence
            and with each.
        naive: Whether attackers who are not told of the defences are run too.
        ignore_checks: Checks of the subject whose failure is put up with, by name.
        guarded: The same model behind a guard, as a plan's ``[guarded]`` has it.
        authorized_by: Who allowed it; needed with ``guarded``.
        outputs: What a function returns: ``predictions`` or ``scores``.
        name: The run's; its folder is ``out/name``.
        out: The folder of all runs.
        seed: The same seed gives the same results.
        resume: Whether to go on with a run that is there already.
        workers: Processes of this machine that share the cells; model and data are sent to them.
        cache: A folder of judges, priors and trained models that runs share.
        progress: Whether to show bars on standard error.

    Raises:
        DarkroomError: If an argument does not do; one sentence says which, why and how to mend it.
    """
    from darkroom.tables.job import TableJob, table_subject
    from darkroom.tables.plan import TablePlan
    from darkroom.tables.reading.frames import as_frame
    from darkroom.tables.rows import plan_schema
    from darkroom.tables.targets.base import TableTarget
    from darkroom.tables.targets.load import as_table_target

    kind = getattr(model, "__name__", type(model).__name__)
    table = {
        "run": _run(name, out, seed, naive, authorized_by, cache),
        "check": {"ignore": list(ignore_checks)},
        "target": {**_own(model), "response": response}
        if isinstance(model, TableTarget)
        else {
            "kind": "sklearn" if hasattr(model, "predict") else "function",
            "load": f"(object):{kind}" if training else kind,
            "response": response,
            "outputs": outputs,
        },
        "private": {
            "table": "(DataFrame)",
            "sensitive": sensitive if isinstance(sensitive, str | Mapping) else list(sensitive),
            "unknown": list(unknown),
            "derived": list(derived),
            "trained_on": trained_on,
            "knows": knows,
            **({} if positive is None else {"positive": positive}),
        },
        "public": {"table": "(DataFrame)", "imputer": imputer},
        "attack": _tables(attacks),
        "defense": _tables(defenses),
        "training": _tables(training),
        **_given(guarded=guarded),
    }
    plan = validate(TablePlan, table, "darkroom.audit_table")
    private, public = as_frame(private, "private"), as_frame(public, "public")
    schema = plan_schema(plan, private, public)
    target = as_table_target(model, schema, outputs, untrained=bool(training))
    subject = table_subject(plan, target, private, public)
    job = TableJob(
        plan, _text(table, "audit_table"), "darkroom.audit_table(...)", subject, Path.cwd()
    )
    return finished(job, resume, Reporter(shown=progress), workers)


# long: every option is a parameter of its own, so that help shows it
def audit_text(
    model: str | Path | tuple[Any, Any] | LanguageTarget,
    canaries: str | Path,
    *,
    before: str | Path | None = None,
    held_out: str | Path | None = None,
    corpus: str | Path | None = None,
    rank_rows: int | None = None,
    references: int | None = None,
    attacks: Sequence[Part] = ("best-first",),
    defenses: Sequence[Part] = (),
    training: Sequence[Part] = (),
    recipe: Mapping[str, Any] | None = None,
    naive: bool = False,
    ignore_checks: Sequence[str] = (),
    guarded: Mapping[str, Any] | None = None,
    authorized_by: str | None = None,
    device: str = "cpu",
    name: str = "audit",
    out: str | Path = "runs",
    seed: int = 0,
    resume: bool = False,
    workers: int = 1,
    cache: str | Path | None = None,
    progress: bool = True,
) -> Run:
    """Extracts canaries from a language model of one's own, and writes a report.

    Args:
        model: The folder that ``save_pretrained`` wrote, a pair of a ``transformers`` model and its
            fast tokenizer, which stay where they are, or a target.
        canaries: The key file of ``darkroom canaries make``.
        before: The folder of the same model before it was trained on the canaries.
        held_out: Lines that the model was not trained on, to see what it is worth.
        corpus: The lines that every ``training`` trains on, canaries among them.
        rank_rows: Rows a canary to spend on its exact rank, 300 unless told.
        references: Candidates drawn for a canary whose exact rank is not reached, 200 unless told.
        attacks: Names, mappings as a plan's ``[[attack]]`` has them, or attacks themselves.
        defenses: Names, mappings as a plan's ``[[defense]]`` has them, or defences themselves.
        training: Names, mappings as a plan's ``[[training]]`` has them, or training defences
            themselves; with any, Darkroom trains the model further, without a defence and with
            each.
        recipe: How to train, as a plan's ``[recipe]`` has it.
        naive: Whether attackers who are not told of the defences are run too.
        ignore_checks: Checks of the subject whose failure is put up with, by name.
        guarded: The same model behind a guard, as a plan's ``[guarded]`` has it.
        authorized_by: Who allowed it; needed with ``guarded``.
        device: Where a model from a folder runs.
        name: The run's; its folder is ``out/name``.
        out: The folder of all runs.
        seed: The same seed gives the same results.
        resume: Whether to go on with a run that is there already.
        workers: Processes of this machine that share the cells; model and data are sent to them.
        cache: A folder of judges, priors and trained models that runs share.
        progress: Whether to show bars on standard error.

    Raises:
        DarkroomError: If an argument does not do; one sentence says which, why and how to mend it.
    """
    from darkroom.text.job import text_job
    from darkroom.text.plan import TextPlan
    from darkroom.text.targets.base import LanguageTarget
    from darkroom.text.targets.transformers import TransformersTarget

    table = {
        "run": _run(name, out, seed, naive, authorized_by, cache),
        "check": {"ignore": list(ignore_checks)},
        "target": _own(model)
        if isinstance(model, LanguageTarget)
        else {
            "kind": "transformers",
            "load": "(object)" if isinstance(model, tuple) else str(model),
            "device": device,
            **_given(before=before and str(before)),
        },
        "private": {
            "canaries": str(canaries),
            **_given(corpus=corpus and str(corpus), held_out=held_out and str(held_out)),
            **_given(rank_rows=rank_rows, references=references),
        },
        "attack": _tables(attacks),
        "defense": _tables(defenses),
        "training": _tables(training),
        **_given(recipe=recipe, guarded=guarded),
    }
    plan = validate(TextPlan, table, "darkroom.audit_text")
    reporter = Reporter(shown=progress)
    target = model if isinstance(model, LanguageTarget) else None
    if isinstance(model, tuple):
        target = TransformersTarget(*model, name=type(model[0]).__name__)
    job = text_job(
        plan, _text(table, "audit_text"), "darkroom.audit_text(...)", Path.cwd(), reporter, target
    )
    return finished(job, resume, reporter, workers)


def _run(
    name: str,
    out: str | Path,
    seed: int,
    naive: bool,
    authorized_by: str | None,
    cache: str | Path | None,
) -> dict[str, Any]:
    """Returns the table ``[run]`` of a plan."""
    run = {"name": name, "seed": seed, "out": str(out), "naive": naive}
    return {**run, **_given(authorized_by=authorized_by, cache=cache and str(cache))}


def _own(target: object) -> dict[str, Any]:
    """Returns the table ``[target]`` of a plan for a target that is there already."""
    return {"kind": "python", "load": f"{type(target).__module__}:{type(target).__qualname__}"}


def _given(**options: Any) -> dict[str, Any]:
    """Returns what is not left out; TOML has no word for nothing."""
    return {key: value for key, value in options.items() if value is not None}


def _text(table: Mapping[str, Any], function: str) -> str:
    """Returns a plan as TOML, with a line that says where it comes from."""
    return f"# From Python: darkroom.{function}(...).\n{tomli_w.dumps(words_of(table))}"


def _tables(items: Sequence[Part]) -> list[Mapping[str, Any]]:
    """Turns names, mappings and parts into the tables of a plan."""
    return [
        item if isinstance(item, Mapping) else {"name" if isinstance(item, str) else "part": item}
        for item in items
    ]
