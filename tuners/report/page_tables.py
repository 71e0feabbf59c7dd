"""The page's tables: which trials it lists, all of them as CSV, and the facts in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from search_spaces._input import is_number
from tuners.report import formatting
from tuners.report.limits import rank, spread_out

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
    "repeats_shared": "test rows duplicated in training",
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
    "splits": "splits a trial",
    "resplit": "rows split anew",
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
    best = rank(trials, summary["direction"])[:BEST_ROWS]
    failed = [row for row in trials if row["state"] == "FAIL"]
    listed = f"all {len(failed)}" if len(failed) <= MOST_FAILED_ROWS else f"{MOST_FAILED_ROWS:,}"
    rows = sorted(best + spread_out(failed, MOST_FAILED_ROWS), key=lambda row: row["number"])
    return rows, f"The best {len(best)} and {listed} failed of {len(trials):,} trials."


def trials_csv(summary: Mapping[str, Any]) -> str:
    """Return all trials as CSV; a text that a spreadsheet would run as a formula is quoted."""
    columns = ["number", "state", "value", "role", "seed", "learning_rate", "diverged", "epochs"]
    columns += ["best_epoch", "seconds"]
    table = pd.DataFrame(summary["trials"], columns=columns, dtype=object)
    params = pd.DataFrame([row["params"] for row in summary["trials"]], dtype=object)
    table = table.join(params.add_prefix("params."))
    return table.map(_harmless).rename(columns=_harmless).to_csv(index=False, lineterminator="\n")


def list_facts(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the facts in words, the known ones first and in order, the rest after them."""
    facts = {k: v for k, v in summary["facts"].items() if v is not None and v != "" and v != {}}
    rest = [
        name
        for name in facts  # those left out stand under cost and under repeat
        if name not in (*_FACTS, "command")
        and not name.startswith(("seconds_", "epochs_", "steps_"))
    ]
    rows: list[tuple[str, str]] = [("study", formatting.shorten(summary["study_name"], 600))]
    for name in (*(name for name in _FACTS if name in facts), *rest):
        as_rate = name == "baseline_learning_rate" and is_number(facts[name])
        words = formatting.rate(facts[name]) if as_rate else _words(facts[name])
        rows.append((_FACTS.get(name, name.replace("_", " ")), words))
    return sorted(rows, key=lambda row: len(row[1]) > 70)  # long ones take a line of their own


def trial_table(
    summary: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> tuple[list[str], list[dict[str, Any]]]:
    """Return column heads, and for each trial its cells as text with a key to sort by."""
    names = dict.fromkeys(name for row in rows for name in row["params"])
    names.pop(summary["parameter"], None)
    styles = dict.fromkeys(summary["parameters"], formatting.rate)
    heads = ["trial", "state", "role", "learning rate"]
    heads += [formatting.shorten(name, 30) for name in (summary["objective"], *names)]
    heads += ["best epoch", "epochs", "seed", "seconds"]
    best = (summary["best_trial"] or {}).get("number")
    cells = []
    for row in rows:
        state = "diverged" if row["diverged"] and row["state"] == "FAIL" else row["state"].lower()
        epoch = row["best_epoch"]
        line = [
            _cell(row["number"]),
            _cell(state),
            _cell(formatting.shorten(row["role"], 30)),
            _cell(row["learning_rate"], formatting.rate),
            _cell(row["value"], lambda value: formatting.number(value, 5)),
            *(_cell(row["params"].get(k), styles.get(k, formatting.number)) for k in names),
            _cell(None if epoch is None or epoch < 0 else epoch + 1),
            _cell(row["epochs"]),
            _cell(row["seed"], str),
            _cell(row["seconds"], lambda value: f"{value:.2f}"),
        ]
        cells.append({"best": row["number"] == best, "cells": line})
    return heads, cells


def _cell(value: Any, style: Callable[[Any], str] = formatting.number) -> dict[str, Any]:
    if value is None:
        return {"text": "\u2013", "key": None}
    if not is_number(value):
        return {"text": formatting.shorten(value, 40), "key": None}
    return {"text": style(value), "key": value}


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {item}" for name, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_words(item) for item in value)
    return formatting.number(value, 6) if isinstance(value, (bool, int, float)) else str(value)


def _harmless(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in tuple("=+-@\t\r") else cell
