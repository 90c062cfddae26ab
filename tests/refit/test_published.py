"""Weights that other programs publish."""

import csv
from pathlib import Path

import numpy as np
import pytest

import l0np

DATA = Path(__file__).parents[1] / "data"
# R's survey package 4.1.1, example of `calibrate`: apiclus1 calibrated on school type and api99. As R prints
# them with options(digits=10): mean of api00, total of enrolment, range of the g-weights.
PUBLISHED = {
    ("chi-square", (None, None)): (665.3090712, 3638487.204, 0.4185924622, 1.8332948832),
    ("chi-square", (0.6, 1.6)): (665.4849459, 3662212.873, 0.6, 1.6),
    ("raking", (None, None)): (665.393796, 3616588.564, 0.5342313687, 1.9947612437),
    ("logit", (0.5, 2.5)): (665.4315747, 3624254.103, 0.5943692382, 1.9358791456),
}


@pytest.fixture(scope="module")
def apiclus1():
    with (DATA / "apiclus1.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


@pytest.mark.parametrize(("distance", "bounds"), PUBLISHED)
def test_agrees_with_the_survey_package(apiclus1, distance, bounds):
    api99, api00, enroll, pw = (apiclus1[name].astype(float) for name in ("api99", "api00", "enroll", "pw"))
    M = np.array([np.ones(len(pw)), apiclus1["stype"] == "H", apiclus1["stype"] == "M", api99])
    answer = l0np.calibrate(M, [6194, 755, 1018, 3914069], base_weights=pw, distance=distance, bounds=bounds)
    w = answer.selected_weights
    mean, total, least, most = PUBLISHED[distance, bounds]
    assert np.isclose(w @ api00 / w.sum(), mean, rtol=2e-9)
    assert np.isclose(w @ enroll, total, rtol=2e-9)
    np.testing.assert_allclose([(w / pw).min(), (w / pw).max()], [least, most], rtol=2e-8)
    assert answer.converged
    assert not answer.missed
