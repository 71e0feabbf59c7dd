"""What the whole job finds on the wine data: ten seeds, SGD, KerasTuner's engine, the article.

    python -m benchmarks.wine            twenty minutes; finished runs are read, not run again
    python -m benchmarks.wine --epochs 5 --out quick.json

Each run is `run_search.py` with its defaults but for the options in its name. What is read from
its `report.json` goes to `benchmarks/results/wine.json`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.stored import add_out, write

ROOT = Path(__file__).resolve().parent.parent
RUNS = {
    **{f"seed {seed}": ("--seed", str(seed)) for seed in range(10)},
    "--optimizer sgd": ("--optimizer", "sgd"),
    "--engine keras-tuner": ("--engine", "keras-tuner"),
}


def run(arguments: list[str], folder: Path, result: str) -> dict[str, Any]:
    """Run the command, which leaves out what is done already, and return what it wrote."""
    command = [sys.executable, str(ROOT / "run_search.py"), *arguments, "--out", str(folder)]
    subprocess.run([*command, "--quiet"], check=True)
    return dict(json.loads((folder / result).read_text(encoding="utf-8")))


def row(name: str, report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of a run.

    Args:
        name: What the table calls it.
        report: Its `report.json`.
    """
    bounds, choice, comparison = (report[part] for part in ("bounds", "choice", "comparison"))
    value = comparison["scores"]["value"]
    return {
        "run": name,
        "bounds": [bounds["low"], bounds["high"]],
        "chosen": choice["learning_rate"],
        "plateau": choice["plateau"],
        "test_loss": [value["chosen"][0], value["baseline"][0]],
        "gain": [comparison["mean_difference"], *comparison["interval"]],
        "wins": comparison["wins"],
        "pairs": comparison["pairs"],
        "accuracy": [comparison["accuracy_gain"], *comparison["accuracy_interval"]],
        "verdict": report["verdict"],
        "seconds": report["cost"]["seconds_total"],
        "trainings": report["cost"]["trainings"]["total"],
    }


def article_row(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of `run_search.py article` from what it wrote."""
    from tuners import Comparison

    comparison = Comparison.from_dict(result["comparison"])
    return {
        "rate": result["learning_rate"],
        "one_run": {arm: result[arm]["accuracy"] for arm in ("default", "chosen")},
        "published": result["published"],
        "epochs": result["settings"]["epochs"],
        "gain": [comparison.mean_difference, *(comparison.interval or ())],
        "accuracy": [comparison.accuracy_gain, *(comparison.accuracy_interval or ())],
        "wins": comparison.wins,
        "pairs": comparison.pairs,
    }


def main() -> None:
    """Read the options, run what is missing, store the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wine", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmark"), help="their folder")
    parser.add_argument("--epochs", type=int, default=30, help="of each training")
    add_out(parser)
    options = parser.parse_args()
    rows = []
    for name, arguments in RUNS.items():
        folder = options.runs / "-".join(arguments).removeprefix("--").replace(" ", "-")
        report = run([*arguments, "--epochs", str(options.epochs)], folder, "report.json")
        rows.append(row(name, report))
        print(f"{name}: {rows[-1]['verdict']}", flush=True)
    epochs = str(round(options.epochs * 100 / 30))  # the article trains for 100
    article = run(["article", "--epochs", epochs], options.runs / "article", "article.json")
    results = {"runs": rows, "article": article_row(article)}
    write("wine", results, options.out, whole=options.epochs == 30)


if __name__ == "__main__":
    main()
