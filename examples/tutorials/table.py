import marimo

app = marimo.App(app_title="What the model adds to statistics")


@app.cell
def _():
    import marimo as mo

    mo.md(
        """
        # What the model adds to statistics

        Who knows a patient's record except the sex can guess the sex: statistics tell much of it. A privacy risk of the
        *model* is only what it adds to that. Here you see the difference for three models of the same 250 patients.
        """
    )
    return (mo,)


@app.cell
def _():
    import darkroom
    import matplotlib.pyplot as plt
    import numpy as np
    from darkroom.tables.data import load_diabetes_table
    from sklearn.ensemble import ExtraTreesRegressor
    from sklearn.linear_model import LinearRegression

    return ExtraTreesRegressor, LinearRegression, darkroom, load_diabetes_table, np, plt


@app.cell
def _(mo):
    mo.md(
        """
        ## Three models

        All predict how far diabetes will have come in a year. The first two are forests; the second may not have leaves
        of fewer than 20 patients. The third is a line.
        """
    )
    return


@app.cell
def _(ExtraTreesRegressor, LinearRegression, load_diabetes_table):
    patients = load_diabetes_table()
    known, response = patients.iloc[:250].drop(columns="progression"), patients["progression"][:250]
    models = {
        "forest": ExtraTreesRegressor(50, random_state=0).fit(known, response),
        "forest, 20 a leaf": ExtraTreesRegressor(50, min_samples_leaf=20, random_state=0).fit(
            known, response
        ),
        "line": LinearRegression().fit(known, response),
    }
    return models, patients


@app.cell
def _(mo):
    mo.md(
        """
        ## The audits

        The attacker asks each model with every value that the sex may have, and sees which answer fits what became of
        the patient.
        """
    )
    return


@app.cell
def _(darkroom, models, patients):
    runs = {
        name: darkroom.audit_table(
            model,
            patients.iloc[:320],
            patients.iloc[320:],
            response="progression",
            sensitive="sex",
            trained_on="0:250",
            attacks=["map"],
            name=f"tutorial-table-{number}",
            progress=False,
            resume=True,
        )
        for number, (name, model) in enumerate(models.items())
    }
    "\n".join(f"{name:<18} {one.verdict.outcome}" for name, one in runs.items())
    return (runs,)


@app.cell
def _(mo):
    mo.md(
        """
        ## Members and others

        How often the attacker is right, beside a guesser who knows as much but has no model (*imputation*). Left: the
        patients that the model learned from. Right: 70 whom it never saw. Bars have 95% intervals.
        """
    )
    return


@app.cell
def _(np, plt, runs):
    figure, sides = plt.subplots(1, 2, figsize=(9, 4), sharey=True)
    for _side, _part in zip(sides, ("members", "others"), strict=True):
        for _offset, _guesser in enumerate(("attack", "imputation")):
            _rates = [
                getattr(getattr(run.cells[0].details, _part).success, _guesser)
                for run in runs.values()
            ]
            _heights = np.array([rate.estimate for rate in _rates])
            _errors = [
                _heights - [rate.low for rate in _rates],
                [rate.high for rate in _rates] - _heights,
            ]
            _side.bar(
                np.arange(len(runs)) + 0.4 * _offset,
                _heights,
                0.38,
                yerr=_errors,
                capsize=3,
                label=_guesser,
            )
        _side.set_xticks(np.arange(len(runs)) + 0.2, list(runs))
        _side.set(title=_part, ylim=(0, 1))
    sides[0].set_ylabel("right about the sex")
    sides[1].legend(loc="lower right")
    figure.set_label("Attack and imputation on members and on others, for each model")
    figure
    return


@app.cell
def _(mo):
    mo.md(
        """
        The unlimited forest gives away the sex of those it learned from, and of nobody else: it *remembers* them. With
        20 patients in every leaf the memory is gone. What is left of the bars is statistics.

        ## How sure is that?

        The advantage is the attack less the best guess without the model on the same patients, with its interval:
        """
    )
    return


@app.cell
def _(runs):
    advantages = {name: run.cells[0].advantage for name, run in runs.items()}
    "\n".join(
        f"{name:<18} {one.estimate:+.3f}  [{one.low:+.3f}, {one.high:+.3f}]"
        for name, one in advantages.items()
    )
    return


@app.cell
def _(mo):
    mo.md(
        """
        ## Next

        [Attribute inference](../understand/tables.md) explains the attacks and the measures.
        [Training defences](../understand/training-defences.md#tables-and-text) has `minimum-leaf`, pruning and private
        training, which an audit trains and compares for you.
        """
    )
    return


if __name__ == "__main__":
    app.run()
