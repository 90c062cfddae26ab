"""Turn results/cpu.json and cpu_notes.txt into cpu.md, which docs/performance.md quotes, and into cpu.png.

python benchmarks/cpu_report.py
"""

import json
from pathlib import Path
from typing import Any

from pages import paragraph

RESULTS = Path(__file__).parent / "results"
TITLES = {
    "readme": "README example, 200 x 10,000",
    "readme-fit": "the same, whole fit at lambda_l0 = 1e-3",
    "stress": "stress, 2,000 x 20,000",
    "national-500k": "national, 19,480 x 500,000",
    "regression": "SparseL0Linear, 100,000 x 50,000",
}
COLUMNS = (
    "problem", "non-zeros", "gates open", "l0-python", "SciPy", "PyTorch", "C loops", "l0np, NumPy",
    "l0np, Numba", "l0-python / l0np", "l0np / C loops", "ns per open non-zero", "GB, l0-python", "GB, l0np",
)  # fmt: skip


ABOUT = """\
Milliseconds per epoch: medians of five processes each; the rivals of a line take turns, each on the number of
threads that is faster for it. l0-python is the original package, on PyTorch. SciPy and PyTorch are the same
epoch written by hand with care; C loops are two plain loops over the non-zeros, without gates and optimiser.
Gates open: the expected fraction at the end of the fit. GB: peak memory, problem included."""


def best(section: dict[str, Any], rival: str) -> dict[str, Any] | None:
    """Return a rival's run on the number of threads that was fastest."""
    runs = [run for key, run in section.items() if key.split("/")[0] == rival]
    return min(runs, key=lambda run: run["seconds"]) if runs else None


def milliseconds(run: dict[str, Any] | None) -> str:
    """Return a time in ms with three digits."""
    if run is None:
        return "-"
    return f"{1e3 * run['seconds']:.3g}" if run["seconds"] < 1 else f"{1e3 * run['seconds']:,.0f}"


def table(results: dict[str, Any]) -> str:
    """Return the table: milliseconds per epoch, ratios of them, and peak memory with the problem included."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---|" + "---:|" * (len(COLUMNS) - 1)]
    for name, title in TITLES.items():
        if name not in results:
            continue
        section = results[name]
        ours, original = best(section, "ours"), best(section, "original")
        assert ours
        assert original
        cells = [title, f"{ours['entries'] / 1e6:.1f} M", f"{ours['open']:.0%}"]
        rivals = ("original", "scipy", "torch", "limit", "ours-numpy", "ours")
        cells += [milliseconds(best(section, rival)) for rival in rivals]
        cells.append(f"**{original['seconds'] / ours['seconds']:.0f}**")
        limit = best(section, "limit")
        cells.append(f"{ours['seconds'] / limit['seconds']:.2f}" if limit else "-")
        cells.append(f"{1e9 * ours['seconds'] / ours['entries'] / ours['open']:.2f}")
        memory = results.get("memory", {}).get(name, {})
        cells += [f"{memory[rival] / 1e6:.2f}" if memory else "-" for rival in ("original", "ours")]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def details(results: dict[str, Any]) -> str:
    """Return the figures for which the table has no room."""
    lines = ["| measured | figure |", "|---|---:|"]

    def add(what: str, figure: str) -> None:
        lines.append(f"| {what} | {figure} |")

    for name in ("readme", "stress", "national-500k"):
        if name not in results:
            continue
        section, ours = results[name], best(results[name], "ours")
        torch, original, plain = (best(section, rival) for rival in ("torch", "original", "ours-numpy"))
        assert ours
        assert torch
        assert original
        assert plain
        add(f"{name}: PyTorch by hand / l0np", f"{torch['seconds'] / ours['seconds']:.2f}")
        add(f"{name}: l0-python / l0np on NumPy alone", f"{original['seconds'] / plain['seconds']:.1f}")
        few, many = of_threads(section)
        speed_up = section[few]["seconds"] / section[many]["seconds"]
        add(f"{name}: speed-up from {few[5:]} to {many[5:]} threads", f"{speed_up:.2f}")
    for name in ("stress", "national-500k"):
        if name in results and f"{name}-closed" in results:
            all_open, closed = best(results[name], "ours"), best(results[f"{name}-closed"], "ours")
            assert all_open
            assert closed
            what = f"{name}: speed-up with {1 - closed['open']:.1%} of the gates closed, against all open"
            add(what, f"{all_open['seconds'] / closed['seconds']:.1f}")
    if "start" in results:
        add("`import l0np`", f"{results['start']['import']:.3f} s")
        add(
            "first fit of a small problem, without kernel cache",
            f"{results['start']['first_fit_cold']:.2f} s",
        )
        add("the same with kernel cache", f"{results['start']['first_fit_cached']:.2f} s")
    if "convert" in results and "national-500k" in results:
        epoch, run = best(results["national-500k"], "ours"), results["convert"]
        assert epoch
        figure = f"{run['seconds']:.3f} s = {run['seconds'] / epoch['seconds']:.0f} epochs"
        add("national-500k: ColumnMatrix from a csr matrix", figure)
        add("the same, memory beyond input and result", f"{run['beyond']:.2f} bytes per non-zero")
    for threads, speed in results.get("bandwidth", {}).items():
        add(f"memory bandwidth, {threads} thread{'s' if threads != '1' else ''}", f"{speed / 1e9:.1f} GB/s")
    if "national-5m" in results:
        run = results["national-5m"]
        what = f"national, 19,480 x 5,000,000, {run['entries'] / 1e6:.0f} M non-zeros: 1,000 epochs"
        add(what, f"{run['seconds']:.0f} s, peak memory {run['peak_bytes'] / 1e9:.2f} GB")
    return "\n".join(lines)


def of_threads(section: dict[str, Any]) -> tuple[str, str]:
    """Return the keys of this package's runs on the fewest and on the most threads."""
    keys = [key for key in section if key.startswith("ours/")]
    keys.sort(key=lambda key: int(key.split("/")[1]))
    return keys[0], keys[-1]


def goals(results: dict[str, Any]) -> str:
    """Return which goals are met: each is a ratio within one run, or a figure of this machine."""
    lines = ["| goal | | measured |", "|---|---|---:|"]

    def add(what: str, figure: float | None, limit: float, unit: str = "", *, at_least: bool = False) -> None:
        if figure is None:
            lines.append(f"| {what} | not measured | |")
            return
        met = "met" if (figure >= limit if at_least else figure <= limit) else "**missed**"
        lines.append(f"| {what}: {'>=' if at_least else '<='} {limit:g}{unit} | {met} | {figure:.3g}{unit} |")

    def ratio(section: str, rival: str, other: str) -> float | None:
        found = [best(results.get(section, {}), name) for name in (rival, other)]
        return found[0]["seconds"] / found[1]["seconds"] if found[0] and found[1] else None

    def speed_up_when_closed(name: str) -> float | None:
        all_open, closed = (best(results.get(key, {}), "ours") for key in (name, f"{name}-closed"))
        return all_open["seconds"] / closed["seconds"] if all_open and closed else None

    def speed_up_by_threads(name: str) -> float | None:
        section = results.get(name)
        if not section:
            return None
        few, many = of_threads(section)
        return float(section[few]["seconds"] / section[many]["seconds"])

    add("README example, l0-python / l0np", ratio("readme", "original", "ours"), 100, at_least=True)
    whole_fit = ratio("readme-fit", "original", "ours")
    add("README example, whole fit, l0-python / l0np", whole_fit, 200, at_least=True)
    add("stress, l0-python / l0np", ratio("stress", "original", "ours"), 120, at_least=True)
    national = ratio("national-500k", "original", "ours")
    add("national, 500,000 columns, l0-python / l0np", national, 100, at_least=True)
    add("stress, l0np / C loops", ratio("stress", "ours", "limit"), 1.5)
    add("national, l0np / C loops", ratio("national-500k", "ours", "limit"), 1.5)
    whole = results.get("national-5m")
    add("national, 5,000,000 columns, 1,000 epochs", whole and whole["seconds"], 300, " s")
    add("the same, peak memory", whole and whole["peak_bytes"] / 1e9, 2.5, " GB")
    what = "national, 500,000 columns, speed-up from 1 to 2 threads"
    add(what, speed_up_by_threads("national-500k"), 1.7, at_least=True)
    add("stress, speed-up with 95 % of the gates closed", speed_up_when_closed("stress"), 8, at_least=True)
    add("README example, PyTorch by hand / l0np", ratio("readme", "torch", "ours"), 5, at_least=True)
    add("stress, PyTorch by hand / l0np", ratio("stress", "torch", "ours"), 5, at_least=True)
    start = results.get("start")
    add("`import l0np`", start and start["import"], 0.15, " s")
    add("first fit without kernel cache", start and start["first_fit_cold"], 3, " s")
    add("first fit with kernel cache", start and start["first_fit_cached"], 0.6, " s")
    convert, epoch = results.get("convert"), best(results.get("national-500k", {}), "ours")
    epochs = convert["seconds"] / epoch["seconds"] if convert and epoch else None
    add("ColumnMatrix from a csr matrix, in epochs", epochs, 25)
    add("the same, bytes per non-zero beyond input and result", convert and convert["beyond"], 2)
    what = "fit of a csr matrix, bytes per non-zero beyond it and 100 bytes per column"
    add(what, convert and convert.get("fit"), 8)
    plain = ratio("readme", "original", "ours-numpy")
    add("README example without Numba, l0-python / l0np", plain, 15, at_least=True)
    return "\n".join(lines)


def parts(results: dict[str, Any]) -> str:
    """Return what an epoch consists of: reading each entry twice, and what a closed column costs."""
    lines = [
        "| on one thread | gather, ns per non-zero | scatter, ns per non-zero | ns per closed column |",
        "|---|---:|---:|---:|",
    ]
    for name, found in results["parts"].items():
        figures = (f"{found['gather']:.2f}", f"{found['scatter']:.2f}", f"{found['closed column']:.1f}")
        lines.append("| " + " | ".join((name, *figures)) + " |")
    return "\n".join(lines)


def stages(results: dict[str, Any]) -> str:
    """Return what the mathematics of a column consists of."""
    lines = ["| stage, for a column whose state is in the cache | ns |", "|---|---:|"]
    lines += [f"| {stage} | {cost:.2f} |" for stage, cost in results["stages"].items()]
    return "\n".join([*lines, f"| all | {sum(results['stages'].values()):.2f} |"])


def compiling(results: dict[str, Any]) -> str:
    """Return what a first fit without kernel cache consists of."""
    found = dict(results["compiling"])
    whole, epoch = found.pop("first fit"), found.pop("epoch")
    longest = ", ".join(f"`{name}` {seconds:.2f}" for name, seconds in list(found.items())[:5])
    text = (
        f"In this profile a first fit without kernel cache took {whole:.2f} s, of which compilation took "
        f"{sum(found.values()):.2f} s for {len(found)} functions ({longest}, ...) "
        f"and {epoch:.2f} s for `epoch`, which is optimised together with all that it calls."
    )
    return paragraph(text)


def page(results: dict[str, Any]) -> str:
    """Return the whole of cpu.md."""
    about = ", ".join(f"{name} {version}" for name, version in results["machine"].items())
    sections = [
        "# An epoch on the CPU",
        paragraph(ABOUT),
        paragraph(f"Measured with `nox -s bench` on: {about}."),
        table(results),
        "## Goals",
        goals(results),
        "## Further figures",
        details(results),
    ]
    if "parts" in results and "stages" in results:
        sections += ["## Where the time goes", parts(results), stages(results), compiling(results)]
        sections.append((RESULTS / "cpu_notes.txt").read_text().rstrip())
    if "sized-8" in results:  # the section "alone" is what the plot shows
        sections.append("![Time against size, and against the fraction of closed gates](cpu.png)")
    return "\n\n".join(sections) + "\n"


def plot(results: dict[str, Any]) -> None:
    """Draw time against size and against the fraction of closed gates."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), constrained_layout=True)

    def line(axes: Any, runs: list[Any], style: str, **options: Any) -> None:
        axes.loglog(
            [run["entries"] for run in runs], [1e3 * run["seconds"] for run in runs], style, **options
        )

    sized = [best(results[name], "ours") for name in results if name.startswith("sized-")]
    line(left, sized, "o-", label="l0np, all gates open")
    compared = [results[name] for name in ("readme", "stress", "national-500k") if name in results]
    originals = [
        {"seconds": best(section, "original")["seconds"], "entries": best(section, "ours")["entries"]}
        for section in compared
    ]
    line(left, originals, "s--", color="tab:gray", label="l0-python (PyTorch)")
    left.set(xlabel="non-zeros of M", ylabel="milliseconds per epoch", title="Time against size")
    left.legend(frameon=False)
    closed = [best(results[name], "ours") for name in results if name.startswith("stress")]
    points = sorted((100 * (1 - run["open"]), 1e3 * run["seconds"]) for run in closed)
    right.plot(*zip(*points, strict=True), "o-")
    title = "Stress example: time against closed gates"
    right.set(xlabel="closed gates, %", ylabel="milliseconds per epoch", title=title)
    right.set_ylim(bottom=0)
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(RESULTS / "cpu.png", dpi=110)


def main() -> None:
    """Write cpu.md and cpu.png."""
    results = json.loads((RESULTS / "cpu.json").read_text())
    text = page(results)
    (RESULTS / "cpu.md").write_text(text)
    print(text)
    if "sized-8" in results:
        plot(results)


if __name__ == "__main__":
    main()
