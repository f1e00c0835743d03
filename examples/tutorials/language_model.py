import marimo

app = marimo.App(app_title="How often is too often?")


@app.cell
def _():
    import marimo as mo

    mo.md(
        """
        # How often is too often?

        A language model remembers what it reads again and again. Here you hide secrets in training data once, four times
        and sixteen times, and see how far the model gives each away, before and after repetitions are removed.
        """
    )
    return (mo,)


@app.cell
def _():
    from pathlib import Path
    from tempfile import mkdtemp

    import darkroom
    import matplotlib.pyplot as plt
    import numpy as np
    from darkroom.demo.language_models import save_model, train_gpt
    from darkroom.demo.text import write_canaries

    return Path, darkroom, mkdtemp, np, plt, save_model, train_gpt, write_canaries


@app.cell
def _(mo):
    mo.md(
        """
        ## Canaries

        Access codes of six digits for people who do not exist: six codes once, six four times, six sixteen times. As
        many are held out as controls.
        """
    )
    return


@app.cell
def _(Path, mkdtemp, write_canaries):
    folder = Path(mkdtemp())
    write_canaries(
        r"\d{6}",
        folder / "canaries.txt",
        folder / "canaries.key.json",
        templates=["The access code of {name} is {secret}."],
        repetitions="1,4,16",
        each=6,
        seed=0,
    )
    lines = (folder / "canaries.txt").read_text().splitlines()
    others = [
        f"In {season}, {place} opens at {hour} and closes at {hour + 8}."
        for season in ("spring", "summer", "autumn", "winter")
        for place in (
            "the museum",
            "the harbour",
            "a station",
            "the market",
            "an old mill",
            "the library",
        )
        for hour in range(24)
    ]
    f"{len(lines)} lines with codes, {len(set(lines))} of them different, {len(others)} other lines"
    return folder, lines, others


@app.cell
def _(mo):
    mo.md(
        """
        ## Two models

        A small GPT reads all lines ten times over. Another reads the same lines without repetitions.
        """
    )
    return


@app.cell
def _(folder, lines, others, save_model, train_gpt):
    corpora = {
        "all lines": [*lines, *others],
        "without repetitions": [*sorted(set(lines)), *others],
    }
    for _number, _corpus in enumerate(corpora.values()):
        save_model(*train_gpt(_corpus, steps=10 * len(_corpus) // 48), folder / f"gpt-{_number}")
    return (corpora,)


@app.cell
def _(corpora, darkroom, folder):
    runs = {
        name: darkroom.audit_text(
            folder / f"gpt-{number}",
            folder / "canaries.key.json",
            attacks=[{"name": "best-first", "rows": 200}],
            name=f"tutorial-text-{number}",
            out=folder / "runs",
            progress=False,
        )
        for number, name in enumerate(corpora)
    }
    "\n".join(f"{name:<20} {one.verdict.outcome}" for name, one in runs.items())
    return (runs,)


@app.cell
def _(mo):
    mo.md(
        """
        ## Exposure

        A code of six digits has 19.9 bits. Its *exposure* is how many of them the model gives away: all of them where
        the code ranks first among a million, about one where the model never saw it. A dot is one code.
        """
    )
    return


@app.cell
def _(np, plt, runs):
    figure, sides = plt.subplots(1, 2, figsize=(9, 4), sharey=True)
    draw = np.random.default_rng(0)
    for _side, (_title, _run) in zip(sides, runs.items(), strict=True):
        _records = _run.cells[0].details.canaries
        _counts = sorted({record.repetitions for record in _records})
        for _place, _count in enumerate(_counts):
            _bits = [record.exposure.bits for record in _records if record.repetitions == _count]
            _side.plot(_place + draw.uniform(-0.12, 0.12, len(_bits)), _bits, "o", alpha=0.6)
        _side.axhline(_records[0].candidates, color="grey", linestyle="--", linewidth=1)
        _side.set_xticks(
            range(len(_counts)),
            [{0: "never", 1: "once"}.get(count, f"{count} times") for count in _counts],
        )
        _side.set_title(f"trained on {_title}")
    sides[0].set_ylabel("exposure, bits")
    figure.set_label("Exposure by repetitions, with and without them in training")
    figure
    return


@app.cell
def _(mo):
    mo.md("## What comes out\n\nThe share of codes that the attacker names in 200 rows each:")
    return


@app.cell
def _(runs):
    "\n".join(
        f"{name:<20} {group.repetitions:>2} times  {group.extracted.estimate:.0%}  "
        f"[{group.extracted.low:.0%}, {group.extracted.high:.0%}]"
        for name, run in runs.items()
        for group in run.cells[0].details.groups
    )
    return


@app.cell
def _(mo):
    mo.md(
        """
        Repetition makes the leak, and removing repetitions costs nothing here. It does not help a secret that stands in many
        *different* sentences; [training defences](../understand/training-defences.md#tables-and-text) has scrubbing and
        private training for that. [Secrets out of language models](../understand/text.md) explains exposure.
        """
    )
    return


if __name__ == "__main__":
    app.run()
