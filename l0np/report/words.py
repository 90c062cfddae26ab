"""What was found, in sentences for people who do not compute."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from l0np._text import counted, number, percent, percentage
from l0np.report.answer import ReportedAnswer
from l0np.report.rows import shown_error

NAMED = 10  # missed targets that the summary names
METHODS = {
    "all": "All {noun}s that have a base weight were kept. Only their weights changed: as little as "
    "possible, so that the targets are met (classical calibration).",
    "thinned": "More {noun}s than needed were drawn at random, with probabilities in proportion to the "
    "weights that all {noun}s would have if they met the targets. Then one after the other left, the "
    "cheapest first, while the others made up for it so that no target was given up (thinning).",
    "balanced": "The {noun}s were drawn at random, with probabilities in proportion to the weights that all "
    "{noun}s would have if they met the targets, and so that the draw balances the targets (the cube "
    "method).",
    "exchange": "The {noun}s were picked one after the other, each time the one that brings the totals "
    "closest to the targets, and then exchanged one for another as long as that helped. Nothing was drawn "
    "at random.",
    "gates": "Every {noun} had a gate, which training opened or closed while it moved the weights: those "
    "whose gates were open at the end were chosen (L0 regularisation with Hard Concrete gates).",
}


@dataclass(frozen=True)
class Tile:
    """A headline figure: the number, and what it is."""

    figure: str
    words: str


def tiles(answer: ReportedAnswer) -> list[Tile]:
    """Return the headline figures."""
    found, noun = answer.diagnostics, answer.keys.noun
    weights = answer.weights[answer.indices]
    asked = int(answer.targets.asked.sum())
    met = asked - int(answer.targets.missed.sum())
    mean = number(float(weights.mean())) if len(weights) else "-"
    size = found.effective_sample_size
    kept = "kept" if answer.method == "all" else "chosen"
    return [
        Tile(f"{len(answer.indices):,} of {len(answer.weights):,}", f"{noun}s were {kept}"),
        Tile(f"{met:,} of {asked:,}", "targets are met"),
        Tile(mean, f"members of the population stand behind each {kept} {noun}, on average"),
        Tile(f"{size:,.0f} of {len(answer.indices):,}", "effective sample size: how even the weights are"),
    ]


def verdict(answer: ReportedAnswer) -> str:
    """Return in a sentence whether the targets are met."""
    asked, missed = int(answer.targets.asked.sum()), len(answer.missed)
    totals = answer.diagnostics.totals
    everything = asked + (0 if totals is None else int(totals.asked.sum()))
    things = "targets" if totals is None else "targets and totals of targets"
    if not everything:
        return "No target was to be met."
    if not missed:
        return f"All {everything:,} {things} are met." if everything > 1 else "The target is met."
    return f"{missed:,} of {everything:,} {things} {'is' if missed == 1 else 'are'} missed."


def cautions(answer: ReportedAnswer) -> list[str]:
    """Return what a reader must know before using the weights, in sentences; empty where all is well."""
    said = []
    if answer.stopped:
        said.append("The run was stopped before its end: this is the best that had been found by then.")
    elif not answer.refit.converged:
        said.append("The search for weights did not end: weights that come nearer to the targets may exist.")
    elif answer.missed:
        said.append("These records cannot meet all targets together within the bounds on their weights.")
    negative = int((answer.weights < 0).sum())
    if negative:
        said.append(f"{counted(negative, 'weight')} below 0: a lower bound would prevent that.")
    for count, kind in ((answer.refit.at_lower, "small"), (answer.refit.at_upper, "large")):
        if count:
            be = "is" if count == 1 else "are"
            said.append(f"{counted(count, 'weight')} {be} as {kind} as the bounds allow.")
    return said


def worst_missed(answer: ReportedAnswer) -> list[tuple[str, str]]:
    """Return the names and errors of the missed targets, the worst first, as many as the summary names."""
    tables = [answer.targets, *([] if answer.diagnostics.totals is None else [answer.diagnostics.totals])]
    found = [
        (str(name), float(error))
        for table in tables
        for name, error in zip(table.name[table.missed], table.relative_error[table.missed], strict=True)
    ]
    found.sort(key=lambda one: -abs(one[1]))
    return [(name, _off(error)) for name, error in found[:NAMED]]


def _off(error: float) -> str:
    """Return a relative error in words."""
    return f"{shown_error(abs(error))} too {'high' if error > 0 else 'low'}"


def weight_sentences(answer: ReportedAnswer) -> list[str]:
    """Return what the weights are, in sentences."""
    noun, found = answer.keys.noun, answer.diagnostics
    weights = answer.weights[answer.indices]
    if not len(weights):
        return [f"No {noun} has a weight."]
    least, low, high, most = (number(float(q)) for q in np.quantile(weights, [0, 0.25, 0.75, 1]))
    before = float(answer.base_weights.sum())
    one = f"A {noun} of weight 10 stands for 10 members of the population: it counts 10 times."
    spread = f"The weights are between {least} and {most}; half of them are between {low} and {high}."
    if least == most:
        spread = f"Every weight is {least}."
    total = (
        f"Together the {counted(len(weights), noun)} stand for {number(found.total_weight)}; with the "
        f"weights before, all {len(answer.weights):,} {noun}s stood for {number(before)}."
    )
    top = f"The heaviest 1% of the {noun}s carry {percent(found.top_share)} of the total weight."
    return [one, spread, total, top]


def size_sentences(answer: ReportedAnswer) -> list[str]:
    """Return what the effective sample size means and what it does not, in sentences."""
    found, noun, k = answer.diagnostics, answer.keys.noun, len(answer.indices)
    size, fraction = found.effective_sample_size, found.effective_sample_size / k if k else np.nan
    return [
        f"The effective sample size is {size:,.1f}, {percentage(fraction, 0)} of {counted(k, noun)}. It says "
        f"how even the weights are: a mean over these {noun}s varies as much as one over {size:,.0f} "
        f"{noun}s of equal weight would, if what is averaged has nothing to do with the weights or the "
        "targets.",
        "It is not a standard error, and no proof that anything outside the list of targets is right. It "
        "does not know how the records were sampled in the first place, nor that targets make some estimates "
        "more exact. Standard errors need the survey's design: give the weights to software for surveys.",
        "A target that is met is matched, not estimated: that says nothing on how exact the target is. "
        "Targets that were held out show how well the weights estimate what they were not fitted to.",
    ]


def method_sentences(answer: ReportedAnswer) -> list[str]:
    """Return how the records were chosen, in sentences."""
    noun = answer.keys.noun
    said = [METHODS.get(answer.method, f'By "{answer.method}".').format(noun=noun)]
    if answer.method != "all":
        said.append(
            "Then the chosen weights were moved as little as possible until the targets were met, or came as "
            "near as they can. A g-weight says by which factor each had to move."
        )
    if len(answer.tried) > 1:
        said.append(
            f"{len(answer.tried)} ways were tried, and the one with the smallest sum below was taken. The "
            "first part of the sum is what the targets are off by; the second grows as weights become uneven."
        )
    return said
