"""A table whose leak is planted, and models that learned it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import darkroom

MEMBERS = 240
INPUTS = ("age", "height", "smoker")


class Planted(NamedTuple):
    """Private rows in which what is predicted follows the secret, and public ones where not.

    Attributes:
        private: The first :data:`MEMBERS` rows are what a model is trained on.
        public: The same columns; the response is drawn anew, so that nobody but the model tells.
        response: ``ill``, a class of 0 and 1, or ``risk``, a number.
    """

    private: pd.DataFrame
    public: pd.DataFrame
    response: str

    @property
    def inputs(self) -> pd.DataFrame:
        """What a model is fitted on."""
        return self.private[list(INPUTS)][:MEMBERS]

    @property
    def truth(self) -> pd.Series:
        """What it is to predict there."""
        return self.private[self.response][:MEMBERS]


def planted(response: str = "ill") -> Planted:
    """Returns rows whose secret, ``smoker``, is 0 or 1."""
    rng = np.random.default_rng(7)

    def rows(n: int, *, told: bool) -> pd.DataFrame:
        frame = pd.DataFrame({"age": rng.integers(20, 80, n), "height": rng.normal(170, 9, n)})
        frame["smoker"] = rng.integers(0, 2, n)
        cause = frame["smoker"] if told else rng.integers(0, 2, n)
        if response == "risk":
            return frame.assign(risk=3.0 * cause + rng.normal(0, 0.4, n))
        wrong = rng.random(n) < 0.03
        return frame.assign(ill=np.where(wrong, 1 - cause, cause))

    return Planted(rows(MEMBERS + 120, told=True), rows(800, told=False), response)


def leaks(model: Any, folder: Path, data: Planted, **options: Any) -> bool:
    """Audits a model, and tells whether the planted leak came out: nine in ten secrets or more."""
    run = darkroom.audit_table(
        model,
        options.pop("private", data.private[[*INPUTS, data.response]]),
        options.pop("public", data.public[[*INPUTS, data.response]]),
        response=data.response,
        sensitive="smoker",
        trained_on=f"0:{MEMBERS}",
        imputer="logistic",
        out=folder,
        progress=False,
        **{"attacks": ["auto"], **options},
    )
    found = [cell.success.estimate >= 0.85 for cell in run.cells]
    return all(found) and run.verdict.outcome == "leak"


def write_plan(folder: Path, load: str, data: Planted, table: str, **keys: str) -> Path:
    """Writes a plan for a model in a file and rows in another.

    Args:
        folder: Where.
        load: The model.
        data: The rows.
        table: The file with private rows, and public ones below them.
        keys: More keys of ``[private]`` and ``[public]``, as TOML has their values; ``attack`` is
            the attack's name.
    """
    n = len(data.private)
    kind = keys.pop("kind", "sklearn")
    attack = keys.pop("attack", "auto")
    more = "".join(f"{key} = {value}\n" for key, value in keys.items())
    plan = folder / "plan.toml"
    plan.write_text(
        f'[run]\nname = "r"\nout = "{folder / "runs"}"\n'
        f'[target]\nkind = "{kind}"\nload = "{load}"\nresponse = "{data.response}"\n'
        f'[private]\ntable = "{table}"\nrows = "0:{n}"\nsensitive = "smoker"\n'
        f'trained_on = "0:{MEMBERS}"\n{more}'
        f'[public]\ntable = "{table}"\nrows = "{n}:"\nimputer = "logistic"\n{more}'
        f'[[attack]]\nname = "{attack}"\n',
        encoding="utf-8",
    )
    return plan


def plan_leaks(plan: Path) -> bool:
    """Audits a plan; see :func:`leaks`."""
    run = darkroom.audit_plan(plan)
    return run.verdict.outcome == "leak" and all(c.success.estimate >= 0.85 for c in run.cells)


def together(data: Planted) -> pd.DataFrame:
    """Returns private rows, and public ones below them."""
    columns = [*INPUTS, data.response]
    return pd.concat([data.private[columns], data.public[columns]], ignore_index=True)
