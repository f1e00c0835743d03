"""Fits a face model where MLServer runs, since it loads what its own scikit-learn wrote: FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

import joblib
import numpy as np
from sklearn.linear_model import LogisticRegression

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with np.load(folder / "photos.npz") as photos:
        model = LogisticRegression(C=0.1, max_iter=2000).fit(photos["rows"], photos["people"])
    joblib.dump(model, folder / "model.joblib")
    np.savez(folder / "fitted.npz", coefficients=model.coef_, intercept=model.intercept_)
