"""Checks by which a report criticises its own run: each with number, threshold, meaning, cure."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from search_spaces._input import is_number
from tuners.comparison.looks import SPENT_BY
from tuners.comparison.statistics import mean_and_sd
from tuners.report.formatting import number, rate, share
from tuners.report.limits import rank
from tuners.report.trial_rows import ENDED

Outcome = Literal["passed", "failed", "not applicable"]
# the number, whether it fails, what it says, and the cure where it depends on what was found
Found = tuple[float | None, bool, str] | tuple[float | None, bool, str, str]
Read = Callable[[Mapping[str, Any]], Found]


@dataclass(frozen=True)
class Check:
    """One thing that could be wrong with a run, and whether it is.

    Args:
        code: "LR01" to "LR12".
        title: The property that a run should have.
        outcome: "passed", "failed" or "not applicable".
        number: What was found; None where not applicable.
        threshold: What makes it fail, as a clause.
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
    checks = []
    for index, (read, title, threshold, cure) in enumerate(_CHECKS, start=1):
        value, failed, meaning, *own = read(summary)
        outcome: Outcome = "not applicable" if value is None else "failed" if failed else "passed"
        parts = (title, outcome, value, threshold, meaning, own[0] if own else cure)
        checks.append(Check(f"LR{index:02d}", *parts))
    return checks


_CHECKS: list[tuple[Read, str, str, str]] = []


def _check(title: str, threshold: str, cure: str) -> Callable[[Read], Read]:
    """List a function as the next check."""

    def keep(read: Read) -> Read:
        _CHECKS.append((read, title, threshold, cure))
        return read

    return keep


@_check(
    "Best rates inside the bounds",
    "3 of the best 5 trials lie in an outer tenth of the range",
    "Widen the range on that side by a decade and search again.",
)
def _near_a_bound(summary: Mapping[str, Any]) -> Found:
    bounds = summary["bounds"] or summary["distribution"]
    own = [row for row in summary["trials"] if summary["parameter"] in row["params"]]
    own = [row for row in own if row["learning_rate"] is not None]  # of this optimizer alone
    rates = [row["learning_rate"] for row in rank(own, summary["direction"])[:5]]
    if not bounds or not 0 < bounds["low"] < bounds["high"] or len(rates) < 5:
        return None, False, "Needs 5 finished trials and a range on a log scale."
    low, high = bounds["low"], bounds["high"]
    places = [math.log(value / low) / math.log(high / low) for value in rates]
    sides = {"lowest": sum(place < 0.1 for place in places)}
    sides["highest"] = sum(place > 0.9 for place in places)
    side, count = max(sides.items(), key=lambda item: item[1])
    meaning = f"{count} of the best 5 trials lie in the {side} tenth of {rate(low)} to "
    meaning += f"{rate(high)} (log scale)."
    above = [row["state"] for row in own if row["learning_rate"] > max(rates)]
    if side == "highest" and set(above) == {"FAIL"}:
        meaning += " Trials just above them failed: the edge of stability, not of the range."
        cure = "Make training stable (warm-up, clipping) rather than widening the range."
        return count, count >= 3, meaning, cure
    return count, count >= 3, meaning


@_check(
    "Few failed trials",
    "more than 10\u00a0% of the trials failed",
    "Lower the upper bound, or find what stops those trials.",
)
def _failed_trials(summary: Mapping[str, Any]) -> Found:
    ended = [row["state"] for row in summary["trials"] if row["state"] in ENDED]
    if not ended:
        return None, False, "No trial has ended yet."
    failed = ended.count("FAIL")
    part = failed / len(ended)
    return part, part > 0.1, f"{failed} of {len(ended)} trials failed ({share(part)})."


@_check(
    "Best epoch inside the run",
    "the best epoch lies in the first tenth or the last quarter",
    "Train for more epochs.",
)
def _best_epoch(summary: Mapping[str, Any]) -> Found:
    pairs, best, whose = _pairs(summary), summary["best_trial"] or {}, "the best trial"
    epoch, epochs = best.get("best_epoch"), best.get("epochs")
    if pairs:
        epochs, whose = pairs["epochs"], "the chosen rate's pairs (median)"
        chosen = sorted(e for e in pairs["chosen"]["best_epochs"] if e >= 0)
        epoch = chosen[len(chosen) // 2] if chosen else None
    if epoch is None or not epochs or epochs < 4:
        return None, False, "No best epoch is recorded."
    place = (epoch + 1) / epochs
    words = f"The best epoch of {whose} is {epoch + 1} of {epochs}."
    if place <= 0.1:
        return place, True, words, "Train for fewer epochs, or regularise more."
    return place, place > 0.75, words


@_check(
    "Enough pairs",
    "nothing was shown, and fewer than 30 pairs were allowed",
    "Allow 30 pairs. A clear difference ends sooner, and so does what would not show one.",
)
def _few_pairs(summary: Mapping[str, Any]) -> Found:
    comparison = summary["comparison"]
    if comparison is None:
        return None, False, "No comparison was made."
    if not comparison["pairs"]:
        return None, False, "The search chose the baseline, so no pairs were trained."
    pairs, allowed = comparison["pairs"], max(comparison["pairs"], comparison["pairs_planned"])
    shown = comparison["verdict"] in ("better", "worse", "equal")
    meaning = f"The verdict rests on {pairs} pairs, of at most {allowed}."
    return allowed, not shown and allowed < SPENT_BY, meaning


@_check(
    "Accuracies told apart by the test set",
    "they differ by less than sqrt(p(1 \u2212 p)/n)",
    "Measure on more test rows. More pairs do not help here.",
)
def _gain_within_noise(summary: Mapping[str, Any]) -> Found:
    comparison = summary["comparison"] or {}
    noise, gain = comparison.get("test_noise"), comparison.get("accuracy_gain")
    if noise is None or gain is None:
        return None, False, "Needs a comparison of test accuracies."
    meaning = f"The accuracies differ by {100 * abs(gain):.2f} points; the test set of "
    meaning += f"{comparison['rows']:,} rows cannot resolve less than {100 * noise:.2f}."
    return abs(gain), abs(gain) < noise, meaning


@_check(
    "Score of the search holds when retrained",
    "the retrained score is worse by more than 2 standard deviations",
    "Believe the retrained score. More splits a trial leave less to luck.",
)
def _selection_gap(summary: Mapping[str, Any]) -> Found:
    pairs = _pairs(summary)
    near = _nearest_trial(pairs, summary) if pairs else None
    mean, spread = mean_and_sd(pairs["chosen"]["validation"]) if pairs else (None, None)
    if near is None or mean is None or not spread:
        return None, False, "Needs a search and a comparison on the same objective."
    # as the pairs are scored: by their best epochs
    known = [value for value in near["best_values"] or [] if value is not None]
    score = sum(known) / len(known) if known else near["value"]
    gap = (mean - score) / spread * (1 if summary["direction"] == "minimize" else -1)
    meaning = (
        f"Trial {near['number']} is the nearest to the chosen rate and scored {number(score)} at "
        f"its best epoch. Retrained, the chosen rate scores {number(mean)} on average, "
        f"{number(abs(gap), 2)} standard deviations {'worse' if gap > 0 else 'better'}."
    )
    return gap, gap > 2, meaning


@_check(
    "Test rows absent from training",
    "more than 1\u00a0% of the test rows are duplicated in training",
    "Drop duplicated rows before the split. Until then both scores look too good.",
)
def _repeats(summary: Mapping[str, Any]) -> Found:
    repeats, rows = (summary["facts"].get(name) for name in ("repeats_shared", "test_rows"))
    if not is_number(repeats):
        return None, False, "Duplicated rows were not counted."
    rows = rows if is_number(rows) else 0
    of, part = (f" of {number(rows)}", f" ({share(repeats / rows)})") if rows else ("", "")
    meaning = f"{number(repeats)}{of} test rows{part} are duplicated in training."
    return repeats, repeats > 0.01 * rows, meaning


@_check(
    "Range test decided",
    "its status is not ok",
    "Use more seeds or steps, or a wider range. Until then the declared range is searched.",
)
def _undecided(summary: Mapping[str, Any]) -> Found:
    stored = [entry["bounds"] for entry in summary["parameters"].values() if entry["bounds"]]
    if not stored:
        return None, False, "No bounds are recorded."
    undecided = [entry for entry in stored if entry["status"] != "ok"]
    words = [f"{entry['status']}: {entry['reason']}" for entry in undecided or stored]
    return len(undecided), bool(undecided), "; ".join(words)


@_check(
    "Equal budgets",
    "epochs or splits differ between trainings",
    "Compare only runs of equal length: the same epochs and splits for each.",
)
def _unequal_budgets(summary: Mapping[str, Any]) -> Found:
    rows = [r for r in rank(summary["trials"], summary["direction"]) if r["epochs"] is not None]
    if not rows:
        return None, False, "No trial recorded its epochs."
    # the finalists of a race are judged on splits that all of them have
    seeds = {1 if row["splits"] else len(row["scores"] or [0]) for row in rows}
    epochs = {row["epochs"] for row in rows}
    pairs = _pairs(summary)
    if pairs:
        epochs.add(pairs["epochs"])
    ratio = max(epochs) / max(1, min(epochs))
    more = f", with {_span(seeds)} splits a trial." if max(seeds) > 1 else "."
    meaning = f"Finished trials and pairs trained for {_span(epochs)} epochs{more}"
    return ratio, ratio > 1 or len(seeds) > 1, meaning


@_check(
    "Seeds stored",
    "a seed is missing",
    'Seed the sampler and the training, and store it: trial.set_user_attr("seed", seed).',
)
def _missing_seed(summary: Mapping[str, Any]) -> Found:
    seeds = [row["seed"] for row in summary["trials"] if row["state"] in ENDED]
    unseeded = summary["facts"].get("seed") is None
    if not seeds and unseeded:
        return None, False, "No trial has ended yet."
    missing = seeds.count(None) + unseeded
    meaning = f"{len(seeds) - seeds.count(None)} of {len(seeds)} ended trials store their seed"
    return missing, missing > 0, meaning + (", and the study stores none." if unseeded else ".")


@_check(
    "Test rows judged once",
    "there was more than one comparison on them",
    "Judge by test rows that no comparison has seen. Each further look finds more by chance.",
)
def _judged_often(summary: Mapping[str, Any]) -> Found:
    pairs = _pairs(summary)
    if not pairs:
        return None, False, "No pairs were compared."
    times = pairs["times_judged"]
    made = f"{times} comparison{'s' * (times > 1)}"
    return times, times > 1, f"This study has made {made} on its test rows."


@_check(
    "Several splits of the rows",
    "there is only one split",
    'Give the task `resplit`, or resplit="shuffle". The best rate of one split is often not that '
    "of another.",
)
def _one_split(summary: Mapping[str, Any]) -> Found:
    resplit, splits = (summary["facts"].get(name) for name in ("resplit", "splits"))
    raced = {split for row in summary["trials"] for split in row["splits"] or ()}
    if raced:
        splits = len(raced)
    if not isinstance(resplit, bool) or not is_number(splits):
        return None, False, "The study does not say which rows its trials trained on."
    if resplit and splits > 1:
        who = "The race" if raced else "Every trial"
        return splits, False, f"{who} trained on {splits:g} splits of the rows."
    seeds = f"{splits:g} seed{'s' * (splits > 1)} of weights and order on " if not resplit else ""
    meaning = f"Every trial trained with {seeds}one split, so how much the rows matter is unknown."
    return 1, True, meaning


def _pairs(summary: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the comparison if pairs were trained for it."""
    comparison = summary["comparison"]
    return comparison if comparison and comparison["pairs"] else None


NEAR = 0.005  # decades, some 1 %: the rate that was retrained is that of a trial


def _nearest_trial(
    pairs: Mapping[str, Any], summary: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """Return the finished trial nearest to the retrained rate, None where none is near it."""
    if summary["facts"].get("objective") not in (None, pairs["objective"]):
        return None

    def decades(row: Mapping[str, Any]) -> float:
        return abs(math.log10(row["learning_rate"] / pairs["chosen_learning_rate"]))

    rows = [row for row in rank(summary["trials"], summary["direction"]) if row["learning_rate"]]
    nearest = min(rows, key=decades, default=None)
    return nearest if nearest is not None and decades(nearest) < NEAR else None


def _span(values: Collection[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
