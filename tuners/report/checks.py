"""Checks by which a report criticises its own run: each with number, threshold, meaning, cure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tuners.comparison.result import mean_and_sd
from tuners.report.formatting import number, rate, share

Outcome = Literal["passed", "failed", "not applicable"]
OUTER_TENTH = 0.1


@dataclass(frozen=True)
class Check:
    """One thing that could be wrong with a run, and whether it is.

    Args:
        code: "LR01" to "LR10".
        title: What is looked at.
        outcome: "passed", "failed" or "not applicable".
        number: What was found; None where not applicable.
        threshold: Where it fails, in words.
        meaning: What the number says of this run.
        cure: What to do when it fails.
    """

    code: str
    title: str
    outcome: Outcome
    number: float | None
    threshold: str
    meaning: str
    cure: str


def run_checks(summary: Mapping[str, Any]) -> list[Check]:
    """Return all checks on a summary (see `tuners.report.summary`), in the order of their codes."""
    return [check(f"LR{index:02d}", summary) for index, check in enumerate(_CHECKS, start=1)]


def _check(
    code: str, title: str, threshold: str, cure: str, found: tuple[float | None, bool, str]
) -> Check:
    value, failed, meaning = found
    outcome: Outcome = "not applicable" if value is None else "failed" if failed else "passed"
    return Check(code, title, outcome, value, threshold, meaning, cure)


def _near_a_bound(code: str, summary: Mapping[str, Any]) -> Check:
    bounds = _searched_range(summary)
    own = [trial for trial in _finished(summary) if _own_rate(summary, trial) is not None]
    best = sorted(own, key=lambda trial: _loss(summary, trial))[:5]
    rates = [trial["learning_rate"] for trial in best]
    cure = "Widen the range on that side by a decade and search again."
    if bounds is None or len(rates) < 5:
        found: tuple[float | None, bool, str] = (
            None,
            False,
            "Needs a log-scaled range and 5 finished trials inside it.",
        )
    else:
        places = [place_in(value, *bounds) for value in rates]
        low = sum(place < OUTER_TENTH for place in places)
        high = sum(place > 1 - OUTER_TENTH for place in places)
        count, side = max((high, "highest"), (low, "lowest"))
        meaning = (
            f"{count} of the best 5 trials lie in the {side} tenth of "
            f"[{rate(bounds[0])}, {rate(bounds[1])}] (log scale)."
        )
        if side == "highest" and _fails_above(summary, max(rates)):
            meaning += " Trials just above them failed: the edge of stability, not of the range."
            cure = "Make training stable (warm-up, clipping) rather than widening the range."
        found = (count, count >= 3, meaning)
    return _check(code, "Best rate near a bound", "3 of the best 5 in an outer tenth", cure, found)


def _failed_trials(code: str, summary: Mapping[str, Any]) -> Check:
    failed = sum(trial["state"] == "FAIL" for trial in summary["trials"])
    ended = failed + sum(trial["state"] in ("COMPLETE", "PRUNED") for trial in summary["trials"])
    if not ended:
        found: tuple[float | None, bool, str] = (None, False, "No trial has ended yet.")
    else:
        found = (
            failed / ended,
            failed / ended > 0.1,
            f"{failed} of {ended} trials failed ({share(failed / ended)}).",
        )
    cure = "Lower the upper bound, or look for the fault that stops those trials."
    return _check(code, "Share of failed trials", "more than 10 %", cure, found)


def _best_epoch(code: str, summary: Mapping[str, Any]) -> Check:
    found: tuple[float | None, bool, str]
    found = (None, False, "No best epoch is recorded.")
    comparison, best = summary["comparison"], summary["best_trial"]
    epoch = epochs = None
    whose = "the best trial"
    if comparison and comparison["pairs"]:
        epochs = comparison["epochs"]
        chosen = sorted(e for e in comparison["chosen"]["best_epochs"] if e >= 0)
        epoch = chosen[len(chosen) // 2] if chosen else None
        whose = "the chosen rate's pairs (median)"
    elif best and best["best_epoch"] is not None and best["epochs"]:
        epoch, epochs = best["best_epoch"], best["epochs"]
    if epoch is not None and epochs and epochs >= 4:
        place = (epoch + 1) / epochs
        found = (
            place,
            place <= 0.1 or place > 0.75,
            f"The best epoch of {whose} is {epoch + 1} of {epochs} ({share(place, 0)} of the run).",
        )
    cure = (
        "In the last quarter: train for more epochs. In the first tenth: fewer would do, or "
        "more regularisation is due."
    )
    return _check(
        code, "Best epoch at an end of the run", "first tenth or last quarter", cure, found
    )


def _few_pairs(code: str, summary: Mapping[str, Any]) -> Check:
    comparison = summary["comparison"]
    if comparison is None:
        found: tuple[float | None, bool, str] = (None, False, "No comparison was made.")
    elif not comparison["pairs"]:
        found = (None, False, "The search chose the baseline, so no pairs were trained.")
    else:
        pairs = comparison["pairs"]
        found = (pairs, pairs < 10, f"The verdict rests on {pairs} pairs.")
    cure = "Run the comparison with 30 pairs."
    return _check(code, "Few pairs", "fewer than 10", cure, found)


def _gain_within_noise(code: str, summary: Mapping[str, Any]) -> Check:
    comparison = summary["comparison"]
    found: tuple[float | None, bool, str]
    found = (None, False, "Needs a comparison of test accuracies.")
    if comparison and comparison.get("test_noise") is not None:
        noise, gain = comparison["test_noise"], comparison["accuracy_gain"]
        if gain is not None:
            found = (
                abs(gain),
                abs(gain) < noise,
                f"The arms part by {100 * abs(gain):.2f} points of accuracy on "
                f"{comparison['rows']} rows, whose own noise is {100 * noise:.2f} points.",
            )
    cure = "Measure on more test rows; more pairs do not shrink this noise."
    return _check(
        code, "Gain within the test set's noise", "gain below sqrt(p(1 \u2212 p)/n)", cure, found
    )


def _selection_gap(code: str, summary: Mapping[str, Any]) -> Check:
    comparison, best = summary["comparison"], summary["best_trial"]
    found: tuple[float | None, bool, str]
    found = (None, False, "Needs a search and a comparison on the same objective.")
    if comparison and comparison["pairs"] and best and best["value"] is not None:
        mean, spread = mean_and_sd(comparison["chosen"]["validation"])
        if mean is not None and spread and _same_rate(summary):
            sign = 1 if summary["direction"] == "minimize" else -1
            gap = sign * (mean - best["value"]) / spread
            found = (
                gap,
                gap > 2,
                f"The best trial scored {number(best['value'])} when it was picked; retrained, the "
                f"same rate scores {number(mean)} on average ({number(gap, 2)} standard deviations "
                f"{'worse' if gap > 0 else 'better'}).",
            )
    cure = "Believe the retrained score; use several seeds a trial to search with less luck."
    return _check(
        code, "Selection score against retrained score", "worse by more than 2 sd", cure, found
    )


def _repeats(code: str, summary: Mapping[str, Any]) -> Check:
    facts = summary["facts"]
    repeats, rows = (
        _plain_number(facts.get("repeats_shared")),
        _plain_number(facts.get("test_rows")),
    )
    if repeats is None:
        found: tuple[float | None, bool, str] = (None, False, "Repeats were not counted.")
    else:
        of = f" of {rows:g}" if rows else ""
        found = (
            repeats,
            repeats > 0.01 * (rows or 0),
            f"{repeats:g}{of} test rows also stand in the training rows"
            + (f" ({share(repeats / rows)})." if rows else "."),
        )
    cure = "Drop repeated rows before the split; scores with twins are too good for both arms."
    return _check(
        code, "Repeats shared by training and test", "more than 1 % of the test rows", cure, found
    )


def _undecided(code: str, summary: Mapping[str, Any]) -> Check:
    found: tuple[float | None, bool, str] = (None, False, "No bounds are recorded.")
    stored = [p["bounds"] for p in summary["parameters"].values() if p["bounds"]]
    if stored:
        open_ones = [entry for entry in stored if entry["status"] != "ok"]
        text = "; ".join(f"{entry['status']}: {entry['reason']}" for entry in open_ones or stored)
        found = (len(open_ones), bool(open_ones), text)
    cure = "Use more seeds or steps, or a wider range; the declared range was kept meanwhile."
    return _check(code, "Range test undecided", "any status but ok", cure, found)


def _unequal_budgets(code: str, summary: Mapping[str, Any]) -> Check:
    budgets = {
        (trial["epochs"], len(trial["scores"] or [0]))
        for trial in _finished(summary)
        if trial["epochs"] is not None
    }
    comparison = summary["comparison"]
    epochs = {budget[0] for budget in budgets}
    if comparison and comparison["pairs"]:
        epochs.add(comparison["epochs"])
    if not budgets:
        found: tuple[float | None, bool, str] = (None, False, "No trial recorded its epochs.")
    else:
        ratio = max(epochs) / max(1, min(epochs))
        seeds = {budget[1] for budget in budgets}
        text = f"Finished trials and pairs trained for {_span(epochs)} epochs"
        found = (
            ratio,
            ratio > 1 or len(seeds) > 1,
            text + (f", with {_span(seeds)} seeds a trial." if max(seeds) > 1 else "."),
        )
    cure = "Compare only runs of equal length: the same epochs and seeds for each."
    return _check(code, "Unequal budgets", "any two differ", cure, found)


def _missing_seed(code: str, summary: Mapping[str, Any]) -> Check:
    ended = [t for t in summary["trials"] if t["state"] in ("COMPLETE", "PRUNED", "FAIL")]
    missing = sum(trial["seed"] is None for trial in ended)
    unseeded = summary["facts"].get("seed") is None
    if not ended and unseeded:
        found: tuple[float | None, bool, str] = (None, False, "No trial has ended yet.")
    else:
        text = f"{missing} of {len(ended)} ended trials carry no seed"
        found = (
            missing + unseeded,
            bool(missing) or unseeded,
            text + (", and the study names none." if unseeded else "."),
        )
    cure = 'Seed the sampler and the training, and store it: trial.set_user_attr("seed", seed).'
    return _check(code, "Missing seed", "any", cure, found)


_CHECKS: tuple[Callable[[str, Mapping[str, Any]], Check], ...] = (
    _near_a_bound,
    _failed_trials,
    _best_epoch,
    _few_pairs,
    _gain_within_noise,
    _selection_gap,
    _repeats,
    _undecided,
    _unequal_budgets,
    _missing_seed,
)


def place_in(value: float, low: float, high: float) -> float:
    """Return where a rate lies between two bounds on the log scale: 0 at low, 1 at high."""
    return math.log(value / low) / math.log(high / low)


def _searched_range(summary: Mapping[str, Any]) -> tuple[float, float] | None:
    found = summary["bounds"] or summary["distribution"]
    if not found or not 0 < found["low"] < found["high"]:
        return None
    return found["low"], found["high"]


def _finished(summary: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [t for t in summary["trials"] if t["state"] == "COMPLETE" and t["value"] is not None]


def _loss(summary: Mapping[str, Any], trial: Mapping[str, Any]) -> float:
    return trial["value"] if summary["direction"] == "minimize" else -trial["value"]


def _own_rate(summary: Mapping[str, Any], trial: Mapping[str, Any]) -> float | None:
    """Return a trial's rate if it belongs to the bounds shown, not to another optimizer's."""
    return trial["learning_rate"] if summary["parameter"] in trial["params"] else None


def _fails_above(summary: Mapping[str, Any], highest: float) -> bool:
    above = [t for t in summary["trials"] if (_own_rate(summary, t) or 0.0) > highest]
    failed = sum(trial["state"] == "FAIL" for trial in above)
    return failed > 0 and failed == len(above)


def _same_rate(summary: Mapping[str, Any]) -> bool:
    """Whether the best trial is the one whose rate was retrained, by the same objective."""
    best, comparison = summary["best_trial"]["learning_rate"], summary["comparison"]
    objective = summary["facts"].get("objective")
    same = best is not None and abs(best / comparison["chosen_learning_rate"] - 1) <= 0.01
    return same and objective in (None, comparison["objective"])


def _plain_number(value: Any) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _span(values: Sequence[float] | set[float] | set[int]) -> str:
    low, high = min(values), max(values)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
