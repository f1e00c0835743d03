import marimo

app = marimo.App(app_title="Watch a face appear")


@app.cell
def _():
    import marimo as mo

    mo.md(
        """
        # Watch a face appear

        A model that recognises twelve people holds their faces. Here you see one come out of it, query by query, and
        what tells a recovered face from a picture that only fools the model. The people are rendered and do not exist.
        """
    )
    return (mo,)


@app.cell
def _():
    from pathlib import Path

    import darkroom
    import matplotlib.pyplot as plt
    import numpy as np
    import torch
    from darkroom.demo.face_net import train_face_net
    from darkroom.demo.people.employees import render_faces

    return Path, darkroom, np, plt, render_faces, torch, train_face_net


@app.cell
def _(mo):
    mo.md(
        """
        ## The model

        Ten photos of each person; the model learns from seven. An attacker has none of them, but has photos of a
        hundred strangers.
        """
    )
    return


@app.cell
def _(np, render_faces, train_face_net):
    people, photos, seen = 12, 10, 7
    employees = render_faces(people, photos, role="employees", size=32).images
    strangers = render_faces(100, 3, role="strangers", size=32).images
    shape = employees.shape[2:]
    model = train_face_net(
        employees[:, :seen].reshape(-1, *shape),
        np.repeat(np.arange(people), seen),
        classes=people,
        seed=0,
    )
    return employees, model, people, photos, seen, shape, strangers


@app.cell
def _(mo):
    mo.md(
        """
        ## The audit

        Two attackers try all twelve people: one holds the weights, one sees confidences alone.
        """
    )
    return


@app.cell
def _(darkroom, employees, model, np, people, photos, seen, shape, strangers):
    run = darkroom.audit(
        model,
        (employees.reshape(-1, *shape), np.repeat(np.arange(people), photos)),
        public=strangers.reshape(-1, *shape),
        trained_on=f"0:{seen}",
        attacks=[
            {"name": "gradient", "prior": "eigenfaces"},
            {"name": "evolution", "prior": "eigenfaces", "rows": 600},
        ],
        name="tutorial-image",
        progress=False,
        resume=True,
    )
    run.verdict.sentence
    return (run,)


@app.cell
def _(mo):
    mo.md(
        """
        ## What came out

        A row for each person. On the left is where every search starts: the average stranger. Then what the attacker
        with the weights has after more and more queries, its answer, and on the right a photo that it never saw.
        """
    )
    return


@app.cell
def _(np, plt, run):
    cell = run.cells[0]
    with np.load(run.folder / "cells" / cell.key / "reconstructions.npz") as arrays:
        shown = [*arrays["snapshots"] / 255, arrays["images"], arrays["photos"] / 255]
    titles = [f"{one:,} queries" for one in cell.details.snapshots] + ["answer", "photo"]
    faces, axes = plt.subplots(4, len(shown), figsize=(1.5 * len(shown), 6.4))
    for _person, _row in enumerate(axes):
        for _column, _axis in enumerate(_row):
            _axis.imshow(np.clip(shown[_column][_person].transpose(1, 2, 0), 0, 1))
            _axis.axis("off")
            if _person == 0:
                _axis.set_title(titles[_column], fontsize=9)
    faces.set_label("Four people: start, snapshots, the answer, and a photo")
    faces
    return


@app.cell
def _(mo):
    mo.md(
        """
        ## At what cost

        The share of people whom three judges recognise, against queries. The band is the 95% interval: twelve people
        are few. The dashed line is the same attacker without the model.
        """
    )
    return


@app.cell
def _(plt, run):
    curves, axis_of_curves = plt.subplots(figsize=(7, 4))
    for _one in run.cells:
        _queries = [max(point.queries, 1) for point in _one.curve]
        (_line,) = axis_of_curves.plot(
            _queries, [point.success for point in _one.curve], label=f"{_one.attack}, {_one.access}"
        )
        axis_of_curves.fill_between(
            _queries,
            [point.low for point in _one.curve],
            [point.high for point in _one.curve],
            alpha=0.15,
            color=_line.get_color(),
        )
        axis_of_curves.axhline(
            _one.baseline.estimate, color=_line.get_color(), linestyle="--", linewidth=1
        )
    axis_of_curves.set(
        xscale="log", xlabel="queries for each person", ylabel="people recognised", ylim=(0, 1)
    )
    axis_of_curves.legend()
    curves.set_label("Success against queries, with intervals")
    curves
    return


@app.cell
def _(mo):
    mo.md(
        """
        ## Confidence is not recognition

        Noise can make the model as sure as a face does. Here each picture begins as noise and follows the gradient
        until the model is 99% sure of the person.
        """
    )
    return


@app.cell
def _(model, plt, shape, torch):
    torch.manual_seed(0)
    noise = torch.rand(4, *shape, requires_grad=True)
    goals = torch.arange(4)
    optimizer = torch.optim.Adam([noise], lr=0.01)
    for _step in range(200):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(noise.clamp(0, 1)), goals).backward()
        optimizer.step()
    sure = torch.softmax(model(noise.clamp(0, 1)), dim=1)[torch.arange(4), goals]
    fooling, pictures = plt.subplots(1, 4, figsize=(6, 1.9))
    for _picture, _pixels, _confidence in zip(
        pictures, noise.detach().clamp(0, 1), sure, strict=True
    ):
        _picture.imshow(_pixels.permute(1, 2, 0))
        _picture.set_title(f"{_confidence.item():.0%} sure", fontsize=9)
        _picture.axis("off")
    fooling.set_label("Noise of which the model is sure")
    fooling
    return


@app.cell
def _(mo):
    mo.md(
        """
        An audit that believed the model would count these. Darkroom's judges have no part in the model, and stand
        behind a gate that refuses what is no face. How often they are fooled stands beside every success:
        """
    )
    return


@app.cell
def _(run):
    judges = run.cells[0].judges
    "\n".join(
        [
            f"right about real photos       {judges.accuracy:.0%}",
            f"fooled by noise like this     {judges.false_positive_noise:.0%}",
            f"fooled by photos of others    {judges.false_positive_others:.0%}",
        ]
    )
    return


@app.cell
def _(mo):
    mo.md(
        """
        ## What to do about it

        [Defences](../understand/defences.md) change answers or training; add them to the audit with `defenses=[…]` or
        `training=[…]` and see what is left. [The guard](../how-to/guard.md) holds a budget: at ten queries a day, the
        axis above is a calendar.
        """
    )
    return


if __name__ == "__main__":
    app.run()
