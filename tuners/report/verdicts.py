"""The verdict of a study in a sentence, what is recommended, and what was not varied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tuners.report.formatting import number, paste_line, rate, signed


def decide(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return `verdict`, `headline`, `sentence`, `recommended_learning_rate` and `recommendation`.

    Args:
        summary: The study's summary, as far as `tuners.report.summary` has built it.
    """
    comparison = summary["comparison"]
    return _not_compared(summary) if comparison is None else _compared(comparison)


def _compared(comparison: Mapping[str, Any]) -> dict[str, Any]:
    verdict, pairs = comparison["verdict"], comparison["pairs"]
    chosen, baseline = comparison["chosen_learning_rate"], comparison["baseline_learning_rate"]
    one, other = _sides(comparison)
    keep = f"Keep {other}"
    headline, why = {
        "better": (f"Use {one}: it beats {other}", "It holds up in fresh pairs."),
        "worse": (f"{keep}: {one} is worse", "The chosen rate did worse in fresh pairs."),
        "no_difference_shown": (
            f"{keep}: no difference shown to {one}",
            "Nothing shows that another rate would do better.",
        ),
        "too_few_pairs": (
            f"{keep}: too few pairs to judge {one}",
            "A change should be shown first; run more pairs.",
        ),
    }[verdict]
    if pairs:
        ends = [signed(end) for end in comparison["interval"] or ()]
        interval = f" (95\u00a0% interval {ends[0]} to {ends[1]})" if ends else ""
        sentence = (
            f"Over {pairs} fresh {'pair' if pairs == 1 else 'pairs'} the mean gain in "
            f"{measure(comparison)} is {signed(comparison['mean_difference'])}{interval}, with "
            f"{comparison['wins']:g} of {pairs} won; a positive gain favours {rate(chosen)}."
        )
        sentence += _accuracy(comparison)
        if pairs < comparison["pairs_planned"]:
            sentence += (
                f" An early look decided at 99.9\u00a0%, so that {pairs} of at most "
                f"{comparison['pairs_planned']} pairs were trained."
            )
        if comparison["optimistic"]:
            sentence += (
                " There is no test data: it is measured on the validation rows that picked the "
                "epoch, which is optimistic."
            )
    else:
        headline = f"Keep the baseline {rate(baseline)}: the search chose it"
        sentence = comparison["reason"]
    recommended = comparison["recommended_learning_rate"]
    act = "Use" if recommended == chosen and pairs else "Keep the baseline"
    return {
        "verdict": verdict,
        "headline": headline[0].upper() + headline[1:],
        "sentence": sentence,
        "recommended_learning_rate": recommended,
        "recommendation": f"{act} {rate(recommended)}. {why}",
    }


def _accuracy(comparison: Mapping[str, Any]) -> str:
    """Return how the arms part in accuracy, "" where that is the verdict's own or not measured."""
    interval, gain = comparison["accuracy_interval"], comparison["accuracy_gain"]
    if interval is None or gain is None or "accuracy" in comparison["metric"]:
        return ""
    part = signed(gain)
    ends = " to ".join(map(signed, interval))
    shown = "a gain" if interval[0] > 0 else "a loss" if interval[1] < 0 else "no difference shown"
    return f" In test accuracy it is {part} ({ends}): {shown}."


def _not_compared(summary: Mapping[str, Any]) -> dict[str, Any]:
    best, bounds, choice = summary["best_trial"], summary["bounds"], summary["choice"]
    ended = [trial for trial in summary["trials"] if trial["state"] in ("FAIL", "PRUNED")]
    recommended = recommendation = None
    reached = best and (
        f"Trial {best['number']} reached {number(best['value'])} in {summary['objective']}"
    )
    if best and best["learning_rate"] is None:
        headline = "A search without a learning rate"
        sentence = f"{reached}; no parameter of the study is a learning rate."
    elif choice:
        recommended = choice["learning_rate"]
        headline = f"Chosen from all trials: {rate(recommended)}, not compared with a baseline"
        sentence = f"{choice['reason']} Fresh pairs against a baseline would judge it."
        recommendation = f"Try {rate(recommended)}, and compare it before you rely on it."
    elif best:
        recommended = best["learning_rate"]
        headline = f"Best trial so far: {rate(recommended)}, not compared with a baseline"
        sentence = f"{reached}. A selection score looks better than it is; fresh pairs against a "
        sentence += "baseline would tell."
        recommendation = f"Try {rate(recommended)}, and compare it before you rely on it."
    elif ended:
        headline = f"No trial finished: all {len(ended)} failed or were pruned"
        sentence = "Nothing can be recommended from a search without a finished trial."
    elif bounds is not None and bounds["status"] == "ok":
        recommended = bounds["suggestion"]
        headline = f"Range test only: try {rate(recommended)} first"
        sentence = "No trial has ended yet, so this is the range test's suggestion alone."
        recommendation = f"Try {rate(recommended)}."
    else:
        headline = "Nothing to judge yet"
        sentence = "The study holds no finished trial and no comparison."
    return {
        "verdict": "not_compared",
        "headline": headline,
        "sentence": sentence,
        "recommended_learning_rate": recommended,
        "recommendation": recommendation,
    }


def line_to_paste(summary: Mapping[str, Any]) -> str | None:
    """Return the line of code that sets the recommended rate, None where nothing is recommended."""
    recommended, comparison = summary["recommended_learning_rate"], summary["comparison"]
    best, optimizer = summary["best_trial"], summary["facts"].get("optimizer")
    if recommended is None:
        return None
    chosen = summary["choice"]
    if chosen is not None and recommended == chosen["learning_rate"]:
        optimizer = chosen["optimizer"] or optimizer  # of a search over optimizers
    elif best is not None and recommended == best["learning_rate"]:
        optimizer = best["params"].get("optimizer", optimizer)
    side = "chosen" if comparison and comparison["verdict"] == "better" else "baseline"
    arm = comparison[side] if comparison else None
    if arm and arm["schedule"]:
        if side == "baseline":
            return f"# keep the compiled {arm['schedule']} as it is"
        return f"# scale {arm['schedule']} so that its highest rate is {recommended:.4g}"
    return paste_line((arm and arm["optimizer"]) or optimizer, recommended)


def measure(comparison: Mapping[str, Any]) -> str:
    """Return what was judged in words, for example "test loss"."""
    return f"{comparison['measured_on']} {comparison['metric'].replace('_', ' ')}"


def limits(summary: Mapping[str, Any]) -> list[str]:
    """Return what the study did not vary or could not know, a sentence each."""
    comparison, facts = summary["comparison"], summary["facts"]
    found = [
        "Model, optimizer settings other than the learning rate, batch size and data set were held "
        "fixed: the verdict is on this task, not on learning rates in general."
    ]
    if comparison and comparison["pairs"]:
        found += [
            "Each pair had its own training and validation split, weights and order of batches; "
            "the test rows were the same for all."
            if comparison["resplit"]
            else "The pairs differ in weights and order of batches only; the split was the same "
            "for all, so how much the data matter is not in the interval.",
            "The baseline ran as it is. A fair rival would have had its other settings tuned too.",
        ]
        if comparison["optimistic"]:
            found.append("There is no test data; epoch and verdict come from the same rows.")
    if summary["trials"]:
        by = f" by {facts['engine']}" if isinstance(facts.get("engine"), str) else ""
        found.append(f"One search{by} with one seed: another seed would have tried other rates.")
    found.append("One machine: another one can differ in the last digits, and so in single runs.")
    return found


def _sides(comparison: Mapping[str, Any]) -> tuple[str, str]:
    arms = [comparison["chosen"] or {}, comparison["baseline"] or {}]
    one, other = (rate(comparison[f"{side}_learning_rate"]) for side in ("chosen", "baseline"))
    for name in ("optimizer", "name"):
        names = [arm.get(name, "") for arm in arms]
        if names[0] != names[1]:
            return f"{names[0]} at {one}", f"{names[1]} at {other}"
    return f"learning rate {one}", f"the baseline {other}"
