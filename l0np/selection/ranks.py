"""Selections of records that ranks share: what each rank gives of its own, and its part of the answer.

All ranks make the same selection: they hold what is one number for each record of all ranks, and the columns
of few records at a time; the matrix stays divided (`SharedMatrix`). Gates are trained, and strata of the cube
method fly, each where its records lie.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from l0np.engine import Communicator
from l0np.inputs import validation
from l0np.margin_tables import problem_parts
from l0np.matrix import ColumnMatrix, SharedMatrix
from l0np.models import check_same
from l0np.selection.problem import SelectionProblem
from l0np.selection.requirements import record_mask
from l0np.selection.result import Calibration

OWN = ("certainty", "groups_of_records")  # arguments of the rank's own records


def shared_input(
    M: Any, y: Any, base_weights: Any, given: Mapping[str, Any], options: Any, ranks: Communicator
) -> tuple[SharedMatrix, Any, Any, dict[str, Any], Any]:
    """Return M, y, base weights, arguments and target options of all records, given those of each rank.

    Raises
    ------
    InputError, InputTypeError
        For what `ColumnMatrix.of` refuses, values for records that do not fit the rank's own, and arguments
        that differ between ranks.
    """
    M, y, base_weights, options, _ = problem_parts(M, y, base_weights, options)
    own = ColumnMatrix.of(M)
    n = own.shape[1]
    base = 1.0 if base_weights is None else base_weights
    base = validation.column_values("base_weights", base, "M", M, n, at_least=0.0)
    certain = record_mask("certainty", given["certainty"], n, None)
    groups = given["groups_of_records"]
    if groups is not None:
        groups = validation.labels("groups_of_records", groups, n, per="record")
    alike = {name: value for name, value in given.items() if name not in OWN}
    alike |= {f"{name}_given": groups is not None for name in OWN[1:]}
    alike |= {name: value for name, value in options.items() if name != "aggregates"}
    check_same(
        ranks, {"the number of rows": own.shape[0], "dtype of M": own.dtype, "y": np.asarray(y)} | alike
    )
    shared = SharedMatrix(own, ranks)
    seed = secrets.randbits(63) if given["seed"] is None else given["seed"]
    if given["seed"] is None:
        seed = int(np.asarray(ranks.allgather(np.array([seed], np.uint64)))[0])
    certain = shared.joined(certain)
    of_all = dict(given) | {"seed": seed, "certainty": certain if certain.any() else None}
    of_all["groups_of_records"] = None if groups is None else shared.joined(groups)
    return shared, y, shared.joined(base), of_all, options


def own_part(problem: SelectionProblem, answer: Calibration) -> Calibration:
    """Return the part of an answer that is of the rank's own records; diagnostics are of all."""
    if problem.shared is None:
        return answer
    columns, records, refit = problem.shared.columns, answer.indices, answer.refit
    is_own = (records >= columns.start) & (records < columns.stop)
    p = answer.inclusion_probabilities
    return replace(
        answer,
        weights=answer.weights[columns],
        indices=records[is_own] - columns.start,
        refit=replace(refit, weights=refit.weights[is_own], ratios=refit.ratios[is_own]),
        reference_weights=answer.reference_weights[is_own],
        base_weights=answer.base_weights[columns],
        inclusion_probabilities=None if p is None else p[columns],
        settings={},  # they would need the values of all records
    )
