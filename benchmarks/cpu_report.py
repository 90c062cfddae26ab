"""Turn results/cpu.json into the Markdown table and the plot that the README shows."""

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
TITLES = {
    "readme": "README example, 200 x 10,000",
    "readme-fit": "the same, whole fit at lambda_l0 = 1e-3",
    "stress": "stress, 2,000 x 20,000",
    "national-500k": "national, 19,480 x 500,000",
    "regression": "SparseL0Linear, 100,000 x 50,000",
}
COLUMNS = (
    "problem", "non-zeros", "gates open", "original", "SciPy", "PyTorch", "C limit", "l0np NumPy", "l0np Numba",
    "original / l0np", "l0np / C limit", "ns / open non-zero", "GB: original", "GB: l0np",
)  # fmt: skip


def best(section: dict[str, Any], rival: str) -> dict[str, Any] | None:
    """Return a rival's fastest thread count."""
    runs = [run for key, run in section.items() if key.split("/")[0] == rival]
    return min(runs, key=lambda run: run["seconds"]) if runs else None


def milliseconds(run: dict[str, Any] | None) -> str:
    """Return a time in ms with three digits."""
    if run is None:
        return "-"
    return f"{1e3 * run['seconds']:.3g}" if run["seconds"] < 1 else f"{1e3 * run['seconds']:,.0f}"


def table(results: dict[str, Any]) -> str:
    """Return the table: milliseconds per epoch, what follows from them, and peak memory with the problem included."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---|" + "---:|" * (len(COLUMNS) - 1)]
    for name, title in TITLES.items():
        if name not in results:
            continue
        section = results[name]
        ours, original = best(section, "ours"), best(section, "original")
        assert ours
        assert original
        cells = [title, f"{ours['entries'] / 1e6:.1f} M", f"{ours['open']:.0%}"]
        cells += [milliseconds(best(section, rival)) for rival in ("original", "scipy", "torch", "limit", "ours-numpy", "ours")]
        cells.append(f"**{original['seconds'] / ours['seconds']:.0f}**")
        limit = best(section, "limit")
        cells.append(f"{ours['seconds'] / limit['seconds']:.2f}" if limit else "-")
        cells.append(f"{1e9 * ours['seconds'] / ours['entries'] / ours['open']:.2f}")
        memory = results.get("memory", {}).get(name, {})
        cells += [f"{memory[rival] / 1e6:.2f}" if memory else "-" for rival in ("original", "ours")]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def details(results: dict[str, Any]) -> str:
    """Return what the table has no room for."""
    lines = ["| measured | figure |", "|---|---:|"]

    def add(what: str, figure: str) -> None:
        lines.append(f"| {what} | {figure} |")

    for name in ("readme", "stress", "national-500k"):
        if name not in results:
            continue
        section, ours = results[name], best(results[name], "ours")
        torch, one, plain = (best(section, rival) for rival in ("torch", "original", "ours-numpy"))
        assert ours
        assert torch
        assert one
        assert plain
        add(f"{name}: well-written PyTorch / l0np", f"{torch['seconds'] / ours['seconds']:.2f}")
        add(f"{name}: original / l0np on NumPy alone", f"{one['seconds'] / plain['seconds']:.1f}")
        threads = sorted((key for key in section if key.startswith("ours/")), key=lambda key: int(key.split("/")[1]))
        add(f"{name}: threads {threads[0][5:]} -> {threads[-1][5:]}",
            f"{section[threads[0]]['seconds'] / section[threads[-1]]['seconds']:.2f} times faster")  # fmt: skip
    for name in ("stress", "national-500k"):
        if name in results and f"{name}-closed" in results:
            open_, closed = best(results[name], "ours"), best(results[f"{name}-closed"], "ours")
            assert open_
            assert closed
            share = 1 - closed["open"]
            add(
                f"{name}: {share:.1%} of the gates closed, against all open",
                f"{open_['seconds'] / closed['seconds']:.1f} times faster",
            )
    if "start" in results:
        add("`import l0np`", f"{results['start']['import']:.3f} s")
        add("first fit of a small problem, no kernel cache", f"{results['start']['first_fit_cold']:.2f} s")
        add("the same with it", f"{results['start']['first_fit_cached']:.2f} s")
    if "convert" in results and "national-500k" in results:
        epoch, run = best(results["national-500k"], "ours"), results["convert"]
        assert epoch
        add("national-500k: ColumnMatrix from csr", f"{run['seconds']:.3f} s = {run['seconds'] / epoch['seconds']:.0f} epochs")
        add("memory beyond input and result", f"{run['beyond']:.2f} bytes per non-zero")
    for threads, speed in results.get("bandwidth", {}).items():
        add(f"memory bandwidth, {threads} thread{'s' if threads != '1' else ''}", f"{speed / 1e9:.1f} GB/s")
    if "national-5m" in results:
        run = results["national-5m"]
        what = f"national, 19,480 x 5,000,000, {run['entries'] / 1e6:.0f} M non-zeros: 1,000 epochs"
        add(what, f"{run['seconds']:.0f} s, peak memory {run['peak_bytes'] / 1e9:.2f} GB")
    return "\n".join(lines) + "\n"


def aims(results: dict[str, Any]) -> str:
    """Say which aims are met, each a ratio within one run or a figure of this machine."""
    lines = ["| aim | | measured |", "|---|---|---:|"]

    def add(what: str, figure: float | None, limit: float, unit: str = "", *, at_least: bool = False) -> None:
        if figure is None:
            lines.append(f"| {what} | not measured | |")
            return
        met = "met" if (figure >= limit if at_least else figure <= limit) else "**missed**"
        lines.append(f"| {what}: {'>=' if at_least else '<='} {limit:g}{unit} | {met} | {figure:.3g}{unit} |")

    def ratio(section: str, rival: str, other: str) -> float | None:
        found = [best(results.get(section, {}), name) for name in (rival, other)]
        return found[0]["seconds"] / found[1]["seconds"] if found[0] and found[1] else None

    def closed(name: str) -> float | None:
        open_, few = best(results.get(name, {}), "ours"), best(results.get(f"{name}-closed", {}), "ours")
        return open_["seconds"] / few["seconds"] if open_ and few else None

    add("README example, original / l0np", ratio("readme", "original", "ours"), 100, at_least=True)
    add("README example, whole fit, original / l0np", ratio("readme-fit", "original", "ours"), 200, at_least=True)
    add("stress, original / l0np", ratio("stress", "original", "ours"), 120, at_least=True)
    add("national, 500,000 columns, original / l0np", ratio("national-500k", "original", "ours"), 100, at_least=True)
    add("stress, l0np / C limit", ratio("stress", "ours", "limit"), 1.5)
    add("national, l0np / C limit", ratio("national-500k", "ours", "limit"), 1.5)
    whole = results.get("national-5m")
    add("national, 5,000,000 columns, 1,000 epochs", whole and whole["seconds"], 300, " s")
    add("the same, peak memory", whole and whole["peak_bytes"] / 1e9, 2.5, " GB")
    threads = results.get("national-500k", {})
    keys = sorted((key for key in threads if key.startswith("ours/")), key=lambda key: int(key.split("/")[1]))
    scaling = threads[keys[0]]["seconds"] / threads[keys[-1]]["seconds"] if keys else None
    add("national, 500,000 columns, threads 1 -> 2, times faster", scaling, 1.7, at_least=True)
    add("stress, 95 % of the gates closed, times faster", closed("stress"), 8, at_least=True)
    add("README example, well-written PyTorch / l0np", ratio("readme", "torch", "ours"), 5, at_least=True)
    add("stress, well-written PyTorch / l0np", ratio("stress", "torch", "ours"), 5, at_least=True)
    start = results.get("start")
    add("`import l0np`", start and start["import"], 0.15, " s")
    add("first fit without kernel cache", start and start["first_fit_cold"], 3, " s")
    add("first fit with it", start and start["first_fit_cached"], 0.6, " s")
    convert, epoch = results.get("convert"), best(results.get("national-500k", {}), "ours")
    add("ColumnMatrix from csr, in epochs", convert["seconds"] / epoch["seconds"] if convert and epoch else None, 25)
    add("the same, bytes per non-zero beyond input and result", convert and convert["beyond"], 2)
    what = "a fit from a SciPy matrix, beyond it and 100 bytes per column, bytes per non-zero"
    add(what, convert and convert.get("fit"), 8)
    add("README example without Numba, original / l0np", ratio("readme", "original", "ours-numpy"), 15, at_least=True)
    return "\n".join(lines) + "\n"


def parts(results: dict[str, Any]) -> str:
    """Tell what an epoch is made of: reading entries twice, and what a column costs that is not read."""
    lines = ["| on one thread | gather, ns per entry | scatter, ns per entry | ns per closed column |", "|---|---:|---:|---:|"]
    for name, found in results["parts"].items():
        lines.append(f"| {name} | {found['gather']:.2f} | {found['scatter']:.2f} | {found['closed column']:.1f} |")
    return "\n".join(lines) + "\n"


def stages(results: dict[str, Any]) -> str:
    """Tell what the column mathematics is made of."""
    lines = ["| stage of a column, its state in the cache | ns |", "|---|---:|"]
    lines += [f"| {stage} | {cost:.2f} |" for stage, cost in results["stages"].items()]
    return "\n".join([*lines, f"| all | {sum(results['stages'].values()):.2f} |"]) + "\n"


def compiling(results: dict[str, Any]) -> str:
    """Tell what a first fit without kernel cache is made of."""
    found = dict(results["compiling"])
    whole, epoch = found.pop("first fit"), found.pop("epoch")
    longest = ", ".join(f"`{name}` {seconds:.2f}" for name, seconds in list(found.items())[:5])
    return (
        f"A first fit without kernel cache took {whole:.2f} s in this profile: {epoch:.2f} for the union of all functions, "
        f"{sum(found.values()):.2f} for the {len(found)} others before ({longest}, ...).\n"
    )


def plot(results: dict[str, Any]) -> None:
    """Draw time against size and against the share of closed gates."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), constrained_layout=True)
    sized = [best(results[name], "ours") for name in results if name.startswith("sized-")]
    left.loglog([run["entries"] for run in sized], [1e3 * run["seconds"] for run in sized], "o-", label="l0np, all gates open")
    originals = [best(results[name], "original") for name in ("readme", "stress", "national-500k") if name in results]
    entries = [best(results[name], "ours")["entries"] for name in ("readme", "stress", "national-500k") if name in results]
    left.loglog(entries, [1e3 * run["seconds"] for run in originals], "s--", color="tab:gray", label="l0-python (PyTorch)")
    left.set(xlabel="non-zeros of M", ylabel="milliseconds per epoch", title="Time against size")
    left.legend(frameon=False)
    shares = [best(results[name], "ours") for name in results if name.startswith("stress")]
    points = sorted((100 * (1 - run["open"]), 1e3 * run["seconds"]) for run in shares)
    right.plot(*zip(*points, strict=True), "o-")
    right.set(xlabel="closed gates, %", ylabel="milliseconds per epoch", title="Stress example: time against closed gates")
    right.set_ylim(bottom=0)
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(RESULTS / "cpu.png", dpi=110)


def main() -> None:
    """Write cpu.md and cpu.png."""
    results = json.loads((RESULTS / "cpu.json").read_text())
    about = ", ".join(f"{name} {version}" for name, version in results["machine"].items())
    page = [
        "# An epoch on the CPU",
        "Milliseconds per epoch: medians of five fresh processes each, the rivals of a line taking turns; each at its faster",
        "thread count. Measured with `nox -s bench` on: " + about + ".",
        "",
        table(results),
        "## Aims\n",
        aims(results),
        "## More figures\n",
        details(results),
    ]
    if "parts" in results and "stages" in results:
        page += ["## Where the time goes\n", parts(results), stages(results), compiling(results)]
        page.append((RESULTS / "cpu_notes.txt").read_text())
    if "sized-8" in results:  # the section "alone" is what the plot shows
        page.append("![Time against size and against closed gates](cpu.png)")
        plot(results)
    (RESULTS / "cpu.md").write_text("\n".join(page).rstrip() + "\n")
    print("\n".join(page))


if __name__ == "__main__":
    main()
