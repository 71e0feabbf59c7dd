"""The verdict of a study in a sentence, what is recommended, and what was not varied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tuners.comparison.result import name_sides
from tuners.comparison.statistics import mean_and_sd
from tuners.figures.words import rate, signed
from tuners.report.formatting import number, paste_line, points, share

ENDED = {
    "equal": " All of it lies within {:g}\u00a0% of the baseline's.",
    "no_difference_shown": " It holds 0, so the pairs do not tell the two apart.",
}
UNLIKELY = ": with all of them too, a difference would probably not show."


def decide(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return `verdict`, `headline`, `sentence`, `recommended_learning_rate` and `recommendation`.

    Args:
        summary: The study's summary, as far as `tuners.report.summary` has built it.
    """
    comparison = summary["comparison"]
    return _not_compared(summary) if comparison is None else _compared(comparison)


def _compared(comparison: Mapping[str, Any]) -> dict[str, Any]:
    verdict, pairs = comparison["verdict"], comparison["pairs"]
    recommended = comparison["recommended_learning_rate"]
    one, other = _sides(comparison)
    headline = {
        "better": f"Use {one}: it beats {other}",
        "worse": f"Keep {other}: {one} is worse",
        "equal": f"Keep {other}: {one} does equally well",
        "no_difference_shown": f"Keep {other}: {one} was not shown to be better",
        "too_few_pairs": f"Keep {other}: too few pairs to judge {one}",
    }[verdict]
    act = "Use" if verdict == "better" else "Keep the baseline"
    recommendation: str | None = f"{act} {rate(recommended)}."
    if not pairs:
        headline = f"Keep the baseline {rate(recommended)}: the search chose it"
    if recommended is None:
        headline, recommendation = "Both arms diverged: try lower rates", None
    return {
        "verdict": verdict,
        "headline": headline,
        "sentence": comparison["reason"]
        if recommended is None or not pairs
        else _rests_on(comparison),
        "recommended_learning_rate": recommended,
        "recommendation": recommendation,
    }


def _rests_on(comparison: Mapping[str, Any]) -> str:
    """Return what the fresh pairs showed, with the unit of every number."""
    pairs, what, rows = comparison["pairs"], measure(comparison), comparison["measured_on"]
    means = [mean_and_sd(comparison[side]["values"])[0] for side in ("chosen", "baseline")]
    one, other = (share(mean) if "accuracy" in what else number(mean) for mean in means)
    chosen, fresh = _names(comparison)[0], f"fresh pair{'s' * (pairs != 1)}"
    gain = gain_in_words(comparison["mean_difference"], comparison["interval"], what)
    words = f"Over {pairs} {fresh}, {chosen} won {comparison['wins']:g}. Its mean {what} is "
    words += f"{one} against {other}, a gain of {gain}."
    words += ENDED.get(comparison["verdict"], "").format(100 * comparison["margin"])
    interval, gained = comparison["accuracy_interval"], comparison["accuracy_gain"]
    if interval and gained is not None and "accuracy" not in what:
        shown = "a loss" if interval[1] < 0 else "no difference shown"
        shown = "a gain" if interval[0] > 0 else shown
        gain = gain_in_words(gained, interval, f"{rows} accuracy")
        words += f" In {rows} accuracy the gain is {gain}: {shown}."
    if pairs < comparison["pairs_planned"]:
        words += f" The look after {pairs} of at most {comparison['pairs_planned']} pairs ended it"
        words += "." if comparison["verdict"] != "no_difference_shown" else UNLIKELY
    if comparison["optimistic"]:
        words += " There is no test data: the rows that picked the epoch also gave these values, "
        words += "which is optimistic."
    return words


def gain_in_words(gain: float, interval: Sequence[float] | None, what: str) -> str:
    """Return a gain with its interval and their unit: that of `what`, or points of accuracy.

    Example:
        >>> gain_in_words(0.0104, (0.005, 0.015), "test loss").replace("\u00a0", " ")
        '+0.0104 (95 % interval +0.005 to +0.015 in test loss)'
    """
    style, unit = (points, "points") if "accuracy" in what else (signed, f"in {what}")
    said = f"{style(gain)} points" if style is points else style(gain)
    if interval is None:
        return said
    return f"{said} (95\u00a0% interval {' to '.join(map(style, interval))} {unit})"


def _not_compared(summary: Mapping[str, Any]) -> dict[str, Any]:
    best, bounds, choice = summary["best_trial"], summary["bounds"], summary["choice"]
    ended = [trial for trial in summary["trials"] if trial["state"] in ("FAIL", "PRUNED")]
    recommended, doubt = None, "not compared with a baseline"
    unsure = "Fresh pairs against a baseline would judge it."
    headline = "Nothing to judge yet"
    sentence = "The study holds no finished trial and no comparison."
    if choice:
        recommended, sentence = choice["learning_rate"], f"{choice['reason']} {unsure}"
    elif best:
        recommended, headline = best["learning_rate"], "A search without a learning rate"
        inside = f" inside {rate(bounds['low'])} to {rate(bounds['high'])}" if bounds else ""
        sentence = f"Trial {best['number']} is the best of {len(summary['trials'])}{inside}, with "
        sentence += f"{summary['objective']} {number(best['value'])}. "
        sentence += (
            "No parameter of the study is a learning rate."
            if recommended is None
            else f"The best of noisy trials looks better than it is. {unsure}"
        )
    elif ended:
        headline = f"No trial finished: all {len(ended)} failed or were pruned"
        sentence = "Nothing can be recommended without a finished trial."
    elif bounds is not None and bounds["status"] == "ok":
        recommended, doubt = bounds["suggestion"], "the suggestion of the range test"
        sentence = "No trial has ended yet, so the rate rests on the range test alone."
    if recommended is not None:
        headline = f"Try learning rate {rate(recommended)}: {doubt}"
    return {
        "verdict": "not_compared",
        "headline": headline,
        "sentence": sentence,
        "recommended_learning_rate": recommended,
        "recommendation": None if recommended is None else f"Try {rate(recommended)}.",
    }


def name_report(summary: Mapping[str, Any]) -> str:
    """Return the title of a study's report, by how far the study has come."""
    if summary["comparison"]:
        return "Learning rate report"
    if summary["trials"]:
        return f"Learning rate search{' inside measured bounds' if summary['bounds'] else ''}"
    return "Learning rate range test" if summary["parameters"] else "Learning rate study"


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
        return f"# scale {arm['schedule']} so that its highest rate is {rate(recommended)}"
    return paste_line((arm and arm["optimizer"]) or optimizer, recommended)


def measure(comparison: Mapping[str, Any]) -> str:
    """Return what was judged in words, for example "test loss"."""
    return f"{comparison['measured_on']} {comparison['metric'].replace('_', ' ')}"


def limits(summary: Mapping[str, Any]) -> list[str]:
    """Return what the study did not vary or could not know, a sentence each."""
    comparison, known = summary["comparison"], {"optimizer", *summary["parameters"]}
    others = dict.fromkeys(name for row in summary["trials"] for name in row["params"])
    found = []
    if names := ", ".join(name for name in others if name not in known):
        found.append(f"The trials varied {names} too, so their scores tell of more than the rate.")
    if comparison:
        found.append(
            "Model, data, batch size and the other settings of the optimizer were held fixed. The "
            "verdict holds for this task, not for learning rates in general."
        )
    if comparison and comparison["pairs"]:
        found += [
            "Each pair had its own split, weights and batch order. The test rows were the same "
            "for all."
            if comparison["resplit"]
            else "The pairs differ in weights and batch order only. The split was the same for "
            "all, so the interval leaves out how much the data matter.",
            "The baseline ran as it is. Its other settings were not tuned.",
        ]
        if comparison["optimistic"]:
            found.append("There is no test data. The same rows picked the epoch and the verdict.")
    if summary["trials"]:
        found.append("Another seed of the search would try other rates.")
    found.append("On another machine single runs can differ.")
    return found


def _sides(comparison: Mapping[str, Any]) -> tuple[str, str]:
    one, other = _names(comparison)
    return (f"learning rate {one}" if other.startswith("the baseline") else one), other


def _names(comparison: Mapping[str, Any]) -> tuple[str, str]:
    sides = ("chosen", "baseline")
    rates = [comparison[f"{side}_learning_rate"] for side in sides]
    return name_sides([comparison[side] or {} for side in sides], rates)
