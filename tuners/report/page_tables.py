"""The page's tables: which trials it lists, all of them as CSV, and the facts in words."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tuners.report import formatting
from tuners.report.limits import spread_out

MOST_ROWS = 500
BEST_ROWS = 200
MOST_FAILED_ROWS = 1000
_FACTS = {
    "task": "task",
    "train_rows": "training rows",
    "validation_rows": "validation rows",
    "test_rows": "test rows",
    "features": "features",
    "data_hash": "data, SHA-256 begins",
    "repeats_shared": "test rows with a twin in training",
    "optimizer": "optimizer",
    "model_parameters": "model parameters",
    "batch_size": "batch size",
    "epochs": "epochs a training",
    "baseline_learning_rate": "baseline learning rate",
    "objective": "objective",
    "direction": "direction",
    "engine": "engine",
    "sampler": "sampler",
    "trials": "trials planned",
    "pairs": "pairs planned",
    "seed": "seed",
    "how": "trained as",
    "why": "because",
    "chunk_size": "lanes at once",
    "machine": "machine",
    "started": "started",
    "versions": "versions",
}


def choose_rows(summary: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], str]:
    """Return the trials that the page lists, and which those are where there are others."""
    trials = summary["trials"]
    if len(trials) <= MOST_ROWS:
        return list(trials), ""
    sign = 1 if summary["direction"] == "minimize" else -1
    finished = [row for row in trials if row["state"] == "COMPLETE" and row["value"] is not None]
    best = sorted(finished, key=lambda row: sign * row["value"])[:BEST_ROWS]
    failed = [row for row in trials if row["state"] == "FAIL"]
    listed = f"all {len(failed)}" if len(failed) <= MOST_FAILED_ROWS else f"{MOST_FAILED_ROWS:,}"
    rows = sorted(best + spread_out(failed, MOST_FAILED_ROWS), key=lambda row: row["number"])
    return rows, f"The best {len(best)} and {listed} failed of {len(trials):,} trials."


def trials_csv(summary: Mapping[str, Any]) -> str:
    """Return all trials as CSV; a text that a spreadsheet would run as a formula is quoted."""
    names = list(dict.fromkeys(name for row in summary["trials"] for name in row["params"]))
    columns = ["number", "state", "value", "role", "seed", "learning_rate", "diverged", "epochs"]
    columns += ["best_epoch", "seconds"]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*columns, *(_harmless(f"params.{name}") for name in names)])
    for row in summary["trials"]:
        cells = [row[column] for column in columns] + [row["params"].get(name) for name in names]
        writer.writerow([_harmless(cell) for cell in cells])
    return out.getvalue()


def list_facts(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the facts in words, the known ones first and in order, the rest after them."""
    facts = {k: v for k, v in summary["facts"].items() if v is not None and v != "" and v != {}}
    rows: list[tuple[str, str]] = [("study", formatting.shorten(summary["study_name"], 600))]
    for name, title in _FACTS.items():
        if name in facts:
            value = facts.pop(name)
            text = (
                formatting.rate(value)
                if "learning_rate" in name and _real(value)
                else _words(value)
            )
            rows.append((title, text))
    for name in list(facts):
        if name.startswith(("seconds_", "epochs_", "steps_")) or name == "command":
            facts.pop(name)  # they stand under cost and under repeat
    rows += [(str(name).replace("_", " "), _words(value)) for name, value in facts.items()]
    return sorted(rows, key=lambda row: len(row[1]) > 70)  # long ones take a line of their own


def trial_table(
    summary: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> tuple[list[str], list[dict[str, Any]]]:
    """Return column heads, and for each trial its cells as text with a key to sort by."""
    names = [
        name
        for name in dict.fromkeys(name for row in rows for name in row["params"])
        if name != summary["parameter"]
    ]
    heads = ["trial", "state", "role", "lr", formatting.shorten(summary["objective"], 30)]
    heads += [formatting.shorten(name, 30) for name in names]
    heads += ["best epoch", "epochs", "seed", "seconds"]
    best = summary["best_trial"]
    cells = []
    for row in rows:
        state = "diverged" if row["diverged"] and row["state"] == "FAIL" else row["state"].lower()
        line = [
            _cell(row["number"]),
            _cell(state),
            _cell(formatting.shorten(row["role"], 30)),
            _cell(row["learning_rate"], formatting.rate),
            _cell(row["value"], lambda value: formatting.number(value, 5)),
        ]
        line += [
            _cell(value, lambda v: formatting.number(v) if _real(v) else formatting.shorten(v, 40))
            for value in (row["params"].get(name) for name in names)
        ]
        epoch = (
            None if row["best_epoch"] is None or row["best_epoch"] < 0 else row["best_epoch"] + 1
        )
        line += [_cell(epoch), _cell(row["epochs"]), _cell(row["seed"], str)]
        line += [_cell(row["seconds"], lambda value: f"{value:.2f}")]
        cells.append({"best": best is not None and row["number"] == best["number"], "cells": line})
    return heads, cells


def _cell(value: Any, style: Callable[[Any], str] = formatting.number) -> dict[str, Any]:
    if value is None:
        return {"text": "\u2013", "key": None}
    return {"text": style(value), "key": value if _real(value) else None}


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {item}" for name, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_words(item) for item in value)
    return formatting.number(value, 6) if _real(value) else str(value)


def _real(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _harmless(cell: Any) -> Any:
    if cell is None:
        return ""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in "=+-@\t\r" and cell else cell
