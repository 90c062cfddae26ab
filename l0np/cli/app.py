"""The commands and their options, as typer reads them; loaded only where the command line is used."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from l0np.cli import runs
from l0np.cli.settings import Settings, bounds_of, error_of, sizes_of
from l0np.cli.steps import Steps
from l0np.errors import InputError

app = typer.Typer(
    help="Survey calibration with few records: from a table of records and a table of totals to weights.",
    add_completion=False,
    no_args_is_help=True,
    epilog="Exit status: 0 done; 1 not good enough; 2 unusable arguments or data. --debug shows tracebacks.",
)

Records = Annotated[
    Path | None,
    typer.Argument(help="The records: CSV or Parquet, or a saved matrix.", show_default=False),
]
Totals = Annotated[
    Path | None, typer.Argument(help="The totals, one target a row: CSV or Parquet.", show_default=False)
]
Weight = Annotated[str | None, typer.Option(help="The column of base weights; by default each is 1.")]
Id = Annotated[str | None, typer.Option(help="The column that identifies records.")]
Unit = Annotated[str | None, typer.Option(help="The column of units that have the weights, e.g. household.")]
Missing = Annotated[str | None, typer.Option(help="error or zero: what missing values are.")]
Uncovered = Annotated[str | None, typer.Option(help="error or allow: levels of records without a total.")]
Size = Annotated[int | None, typer.Option("--n-active", help="Records to select; by default all are kept.")]
Sizes = Annotated[str | None, typer.Option("--n-active", help="Numbers of records, such as 100,200,400.")]
Method = Annotated[str | None, typer.Option(help="auto, thinned, balanced, exchange or gates.")]
Spread = Annotated[
    float | None, typer.Option(help="How much uneven weights count where auto compares methods.")
]
Certainty = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN|FILE",
        help="What is always selected: a column that marks it (1, yes, true), or a file of ids.",
    ),
]
AtLeast = Annotated[
    list[str] | None,
    typer.Option(
        "--at-least",
        metavar="COLUMN:LEVEL=K",
        help="Select at least K records of a level, e.g. region:north=5; region=5: of each. Repeatable.",
    ),
]
Distance = Annotated[str | None, typer.Option(help="chi-square, raking or logit.")]
BoundsText = Annotated[
    str | None, typer.Option("--bounds", help="Smallest and largest weight / reference weight: 0.1,10.")
]
Total = Annotated[float | None, typer.Option(help="A sum that the weights must have.")]
Seed = Annotated[int | None, typer.Option(help="Seed of everything random; drawn by default.")]
Device = Annotated[str | None, typer.Option(help="cpu, numpy, numba, cuda, cuda:1 or auto.")]
Epochs = Annotated[int | None, typer.Option(help="Epochs of training, if gates are trained.")]
Output = Annotated[
    Path | None, typer.Option(help="Where to write: .csv, .parquet or .npz; settings go beside it.")
]
TargetsFile = Annotated[
    Path | None, typer.Option("--targets", help="Where to write the table of targets: .csv, .parquet, .npz.")
]
MaxError = Annotated[
    str | None, typer.Option("--max-error", help="Exit status 1 if a target is farther: 0.01 or 1%.")
]
Config = Annotated[Path | None, typer.Option(help="Settings of an earlier run; other options go first.")]
Log = Annotated[Path | None, typer.Option(help="A file to which the steps are added.")]
Report = Annotated[
    Path | None, typer.Option(help="Where to write a report for people who do not compute: .html.")
]
Checkpoint = Annotated[
    Path | None, typer.Option(help="A folder for checkpoints of gates that are trained.", show_default=False)
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint there, if any.")]


@app.command()
def calibrate(
    records: Records = None,
    totals: Totals = None,
    weight: Weight = None,
    id: Id = None,
    unit: Unit = None,
    missing: Missing = None,
    uncovered: Uncovered = None,
    n_active: Size = None,
    method: Method = None,
    spread: Spread = None,
    certainty: Certainty = None,
    at_least: AtLeast = None,
    distance: Distance = None,
    bounds: BoundsText = None,
    total: Total = None,
    epochs: Epochs = None,
    device: Device = None,
    seed: Seed = None,
    output: Output = None,
    targets: TargetsFile = None,
    max_error: MaxError = None,
    config: Config = None,
    log: Log = None,
    report: Report = None,
    checkpoint: Checkpoint = None,
    resume: Resume = False,
) -> int:
    """Find weights that meet the totals, with all records or with exactly so many."""
    settings = _settings("calibrate", config)
    files = {"records": records, "totals": totals, "output": output, "targets": targets, "report": report}
    settings.updated(
        files,
        margins=_margins(weight, id, unit, missing, uncovered),
        arguments={
            "n_active": n_active,
            "method": method,
            "spread": spread,
            "distance": distance,
            "bounds": bounds_of(bounds),
            "total": total,
            "epochs": epochs,
            "device": device,
            "seed": seed,
        },
    )
    settings.required(certainty, at_least)
    if resume and checkpoint is None:
        raise InputError("--resume needs the folder of the checkpoints: --checkpoint FOLDER")
    settings.checkpoint, settings.resume = checkpoint, resume
    return _run(runs.calibrate, settings, max_error, log)


@app.command()
def path(
    records: Records = None,
    totals: Totals = None,
    weight: Weight = None,
    id: Id = None,
    unit: Unit = None,
    missing: Missing = None,
    uncovered: Uncovered = None,
    n_active: Sizes = None,
    method: Method = None,
    spread: Spread = None,
    certainty: Certainty = None,
    at_least: AtLeast = None,
    distance: Distance = None,
    bounds: BoundsText = None,
    total: Total = None,
    epochs: Epochs = None,
    device: Device = None,
    seed: Seed = None,
    output: Output = None,
    max_error: MaxError = None,
    config: Config = None,
    log: Log = None,
) -> int:
    """Try several numbers of records: how close the targets are, and how even the weights."""
    settings = _settings("path", config)
    settings.updated(
        {"records": records, "totals": totals, "output": output},
        margins=_margins(weight, id, unit, missing, uncovered),
        arguments={
            "n_active": sizes_of(n_active),
            "method": method,
            "spread": spread,
            "distance": distance,
            "bounds": bounds_of(bounds),
            "total": total,
            "epochs": epochs,
            "device": device,
            "seed": seed,
        },
    )
    settings.required(certainty, at_least)
    if not settings.arguments.get("n_active") and not settings.arguments.get("lambda_l0"):
        raise InputError("l0np path needs numbers of records: --n-active 100,200,400")
    return _run(runs.path, settings, max_error, log)


@app.command()
def check(
    records: Records = None,
    totals: Totals = None,
    weight: Weight = None,
    id: Id = None,
    unit: Unit = None,
    missing: Missing = None,
    uncovered: Uncovered = None,
    bounds: BoundsText = None,
    config: Config = None,
    log: Log = None,
) -> int:
    """Look for totals that cannot be met, or not together; exit status 1 if there are any."""
    settings = _settings("check", config)
    settings.updated(
        {"records": records, "totals": totals},
        margins=_margins(weight, id, unit, missing, uncovered),
        arguments={"bounds": bounds_of(bounds)},
    )
    return _run(runs.check, settings, None, log)


@app.command()
def info() -> int:
    """Show versions and devices, for reports of errors."""
    return runs.info()


def _settings(command: str, config: Path | None) -> Settings:
    return Settings(command) if config is None else Settings.read(config, command)


def _margins(
    weight: str | None, key: str | None, unit: str | None, missing: str | None, uncovered: str | None
) -> dict[str, Any]:
    return {"weight": weight, "id": key, "unit": unit, "missing": missing, "uncovered": uncovered}


def _run(run: Any, settings: Settings, max_error: str | None, log: Path | None) -> int:
    limit = error_of(max_error)
    settings.max_error = settings.max_error if limit is None else limit
    status: int = run(settings, Steps(log))
    return status
