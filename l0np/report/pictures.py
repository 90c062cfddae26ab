"""The pictures of a report: SVG within the page, which takes the colour of its text, with alt texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l0np._text import counted, number, percent
from l0np.plots import estimates, g_weights, group_errors, sorted_errors, svg_of, weights
from l0np.report.answer import ReportedAnswer
from l0np.targets import TargetTable

SIZE = (4.8, 3.3)  # inches: its text can be read on a phone


@dataclass(frozen=True)
class Picture:
    """A picture: its heading, how to read it, what it shows in words, and the SVG."""

    heading: str
    caption: str
    alt: str
    svg: str


def pictures(answer: ReportedAnswer, targets: TargetTable) -> Iterator[Picture]:
    """Yield the pictures of an answer; `targets` are its targets with groups, if there are any."""
    asked, active = targets[targets.asked], answer.weights[answer.indices]
    if len(targets):
        yield _picture(
            "Errors of the targets",
            "Every curve runs from the target that is farthest off to the nearest one. Errors that count as "
            "met are drawn at the lowest line.",
            f"{counted(len(asked), 'target')}, sorted by error. {_in_words(asked)}",
            lambda axes: sorted_errors(targets, axes),
        )
        yield _picture(
            "Estimates against targets",
            "Each point is a target. Those on the line are met. Both axes are logarithmic.",
            f"{counted(len(targets), 'target')} as points: the estimate against the target, near the "
            f"diagonal where it is met. {_in_words(asked)}",
            lambda axes: estimates(targets, axes),
        )
    if asked.group is not None and len(asked):
        yield _picture(
            "Errors by group of targets",
            "A mark is the mean error of a group, the line from it reaches to its worst target. In brackets: "
            "how many targets the group has.",
            f"{counted(len(np.unique(asked.group)), 'group')} of targets, each with its mean and its worst "
            f"error; the table of groups below has the numbers.",
            lambda axes: group_errors(targets, axes),
        )
    if len(active):
        yield _picture(
            "Weights",
            "How many records have which weight; the broken line is their mean.",
            f"Histogram of {counted(len(active), 'weight')}: {_range(active)}.",
            lambda axes: weights(active, axes),
        )
        yield _picture(
            "g-weights",
            "By which factor each weight had to move so that the targets are met; the broken line is 1, no "
            "move at all.",
            f"Histogram of {counted(len(active), 'g-weight')}: {_range(answer.refit.ratios)}.",
            lambda axes: g_weights(answer.refit.ratios, axes),
        )


def _picture(heading: str, caption: str, alt: str, draw: Callable[[Any], Any]) -> Picture:
    def without_title(axes: Any) -> None:
        draw(axes).set_title("")  # the page has it as a heading

    svg = svg_of(without_title, heading, "a report", SIZE)
    return Picture(heading, caption, alt, _for_page(svg))


def _for_page(svg: str) -> str:
    """Return the svg element alone, in the colour of the text, as wide as its place."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"(<svg[^>]*?) width=\"[^\"]*\"", r"\1", svg, count=1)
    svg = re.sub(r"(<svg[^>]*?) height=\"[^\"]*\"", r"\1", svg, count=1)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = svg.replace("#000000", "currentColor")
    return svg.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1).strip()


def _in_words(asked: TargetTable) -> str:
    """Return the errors of the targets that were to be met, before and after."""
    said = []
    for words, errors in (("Before", asked.relative_before), ("After", asked.relative_error)):
        errors = np.abs(errors[np.isfinite(errors)])
        if len(errors):
            middle, worst = percent(float(np.median(errors))), percent(float(errors.max()))
            said.append(f"{words}: half of the errors are up to {middle}, the largest is {worst}.")
    return " ".join(said)


def _range(values: NDArray[np.float64]) -> str:
    least, middle, most = (number(float(q)) for q in np.quantile(values, [0, 0.5, 1]))
    return f"the smallest is {least}, the middle one {middle}, the largest {most}"
