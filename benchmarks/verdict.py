"""How often the verdict is wrong, what it finds, and how many pairs it takes.

    python -m benchmarks.verdict               twenty seconds
    python -m benchmarks.verdict --repeats 2000 --out quick.json

Simulated are differences of three shapes with a standard deviation of 1 and a known mean; skewed
ones have a long tail of losses. Replayed are differences that were trained: two rates of the grid
of a stored task (`benchmarks.truth`), whose splits are drawn with replacement; the mean over all
splits is the truth. Nothing is trained. The results go to `benchmarks/results/verdict.json`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.stored import add_out, write
from benchmarks.truth import Truth, load_truth, stored_tasks
from tuners.comparison import looks
from tuners.comparison.looks import MARGIN, decide, is_futile
from tuners.comparison.statistics import count_wins, paired_t_interval, wilson_interval

PAIRS = 30
EFFECTS = (0.0, 0.3, 0.5, 0.8, 1.0, 1.1, 1.5)  # in standard deviations
SPREADS = (0.3, 0.5, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0)  # standard deviations, in margins
VARIED = {"POWER_LEFT": (0.0, 0.05, 0.1, 0.2), "KEPT": (0.0, 0.1, 0.2)}  # settings of the rule
FEWEST_SPLITS = 16  # of a task that is replayed: 30 pairs of fewer would be much the same
DRAWS = 10  # comparisons replayed of each two rates
NEAR = 0.3  # standard deviations: two rates whose means are nearer are nearly tied
ALIKE = 0.003  # relative difference of two rates that do not differ: far within the margin
OLD_LOOKS, OLD_CONFIDENCE, OLD_SHARE = (8, 16, 24, PAIRS), 0.999, 0.75
Values = NDArray[np.float64]
Judged = tuple[NDArray[np.str_], NDArray[np.int_]]


def normal(generator: np.random.Generator, shape: tuple[int, ...]) -> Values:
    return generator.normal(size=shape)


def heavy(generator: np.random.Generator, shape: tuple[int, ...]) -> Values:
    return generator.standard_t(3, size=shape) / np.sqrt(3)


def skewed(generator: np.random.Generator, shape: tuple[int, ...]) -> Values:
    return 1 - generator.exponential(size=shape)


SHAPES: dict[str, Callable[..., Values]] = {
    "normal": normal,
    "Student's t, 3 degrees of freedom": heavy,
    "skewed": skewed,
}


def judge(
    differences: Values,
    baseline: Values | None = None,
    *,
    counts: Sequence[int] = looks.looks(PAIRS),
    futility: bool = True,
    wins: bool = False,
) -> Judged:
    """Return the verdicts of many comparisons by the rule of `compare`, and the pairs they took.

    Args:
        differences: (..., pairs).
        baseline: Values of the baseline, alike; None leaves out "equal".
        counts: After how many pairs to look; the last is the most.
        futility: Whether a look stops where little power is left.
        wins: Whether the share of wins must agree, as it had to before: the double rule.
    """

    def look(count: int) -> tuple[NDArray[np.str_], NDArray[np.bool_]]:
        first = differences[..., :count]
        none = 0.0 if baseline is None else MARGIN * np.abs(baseline[..., :count].mean(axis=-1))
        verdict = decide(first, none)
        if baseline is None:
            verdict[verdict == "equal"] = "no_difference_shown"
        if wins:
            sure = np.isin(verdict, ("better", "worse"))
            verdict[sure & (by_wins(first, 1 - 2 * looks.level(count)) != verdict)] = (
                "no_difference_shown"
            )
        last = count == counts[-1]
        stops = is_futile(first, counts[-1], none) if futility and not last else verdict == ""
        return verdict, stops

    return walked(look, counts, differences.shape[:-1])


def old_rule(differences: Values) -> Judged:
    """Return what the rule before this one says: wins and t, looks after 8, 16 and 24 at 99.9 %."""

    def look(count: int) -> tuple[NDArray[np.str_], NDArray[np.bool_]]:
        first, confidence = differences[..., :count], 0.95 if count == PAIRS else OLD_CONFIDENCE
        low, high = paired_t_interval(first, confidence)
        by_mean = np.select([low > 0, high < 0], ["better", "worse"], "no_difference_shown")
        agree = by_mean == by_wins(first, confidence)
        return np.where(agree, by_mean, "no_difference_shown"), np.zeros(agree.shape, bool)

    return walked(look, OLD_LOOKS, differences.shape[:-1])


def walked(look: Callable[[int], Any], counts: Sequence[int], shape: tuple[int, ...]) -> Judged:
    """Return verdicts and pairs where each comparison ends with the first look that ends it."""
    verdicts, pairs = np.full(shape, "no_difference_shown"), np.full(shape, counts[-1])
    runs = np.ones(shape, bool)
    for count in counts:
        verdict, stops = look(count)
        ends = runs & ((verdict != "no_difference_shown") | stops)
        verdicts[ends], pairs[ends], runs = verdict[ends], count, runs & ~ends
    return verdicts, pairs


def by_wins(differences: Values, confidence: float) -> NDArray[np.str_]:
    """Return the verdict by the share of wins (Bouthillier et al. 2021, arXiv 2103.03098)."""
    low, high = wilson_interval(count_wins(differences), differences.shape[-1], confidence)
    better, worse = (low > 0.5) & (high > OLD_SHARE), (high < 0.5) & (low < 1 - OLD_SHARE)
    return np.select([better, worse], ["better", "worse"], "no_difference_shown")


def shares(judged: Judged) -> dict[str, float]:
    """Return the share of each verdict, and the mean pairs."""
    verdicts, pairs = judged
    found = {name: float(np.mean(verdicts == name)) for name in ("better", "worse", "equal")}
    return found | {"pairs": float(pairs.mean())}


RULES: dict[str, Callable[[Values], Judged]] = {
    "this rule": judge,
    "with wins too": lambda differences: judge(differences, wins=True),
    "the rule before": old_rule,
}


def simulate(repeats: int) -> dict[str, Any]:
    """Return all that is simulated, each number of so many comparisons."""
    generator = np.random.default_rng(0)
    drawn = {name: draw(generator, (repeats, PAIRS)) for name, draw in SHAPES.items()}
    noise, other = drawn["normal"], generator.normal(size=(repeats, PAIRS))
    baseline = 1 + 0.2 * other  # 1 on average; its splits differ by a fifth

    def equal(spread: float, effect: float) -> dict[str, float]:
        return shares(judge(MARGIN * (spread * noise + effect), baseline))

    return {
        "levels": {str(count): looks.level(count) for count in looks.looks(PAIRS)},
        "rules": [
            {"rule": rule, "shape": shape, "effect": effect} | shares(judged(each + effect))
            for shape, each in drawn.items()
            for rule, judged in RULES.items()
            for effect in EFFECTS
        ],
        "equal": [
            {"spread": spread, "same": equal(spread, 0), "at_the_margin": equal(spread, 1)}
            for spread in SPREADS
        ],
        "grown": grown(generator, repeats),
        "sensitivity": [
            setting
            for name, values in {
                "POWER_LEFT": (0.0, 0.05, 0.1, 0.2),
                "KEPT": (0.0, 0.1, 0.2),
            }.items()
            for setting in sensitivity(name, values, noise)
        ],
    }


def sensitivity(name: str, values: Sequence[float], noise: Values) -> list[dict[str, Any]]:
    """Return what other values of a constant of `tuners.comparison.looks` do, by effect."""
    kept, found = getattr(looks, name), []
    for value in values:
        setattr(looks, name, value)
        looks.level.cache_clear()
        judged = {str(effect): shares(judge(noise + effect)) for effect in (0.0, 0.5, 1.0)}
        found.append({"constant": name, "value": value, "effects": judged})
    setattr(looks, name, kept)
    looks.level.cache_clear()
    return found


def grown(generator: np.random.Generator, repeats: int) -> list[dict[str, Any]]:
    """Return how often equal arms are called better where nothing stops for futility."""
    differences = generator.normal(size=(repeats, 120))
    ways = {
        "up to 30 pairs": looks.looks(30),
        "30 pairs, then 60": looks.looks(60),
        "30 pairs, then 120": looks.looks(120),
        "15 pairs, then 25, then 30": sorted({*looks.looks(30), 15, 25}),
        "one pair more each time, 6 to 30": range(6, 31),
    }
    return [
        {"way": way} | shares(judge(differences[:, : counts[-1]], counts=counts, futility=False))
        for way, counts in ways.items()
    ]


def replay(truths: Iterator[Truth], draws: int) -> dict[str, Any]:
    """Return what comparisons of two rates of the same task say, against what is true.

    Args:
        truths: Stored tasks.
        draws: Comparisons of each two rates; the splits of its pairs are drawn with replacement.
    """
    generator, rows, tasks = np.random.default_rng(0), [], 0
    for truth in truths:
        reached = truth.reached + truth.offset
        losses = reached[np.isfinite(reached).all(axis=1) & ~truth.diverged.any(axis=1)]
        chosen, other = np.nonzero(~np.eye(len(losses), dtype=bool))
        gains = losses[other] - losses[chosen]
        told_apart = gains.std(axis=1) > 0
        chosen, other, gains = chosen[told_apart], other[told_apart], gains[told_apart]
        splits = generator.integers(truth.splits, size=(len(gains), draws, PAIRS))
        sampled, baseline = take(gains, splits), take(losses[other], splits)
        swapped = sampled * generator.choice([-1, 1], size=sampled.shape)
        tasks += 1
        rows.append(
            {
                "mean": gains.mean(axis=1) / np.abs(losses[other].mean(axis=1)),
                "effect": gains.mean(axis=1) / gains.std(axis=1, ddof=1),
                "as_is": judge(sampled, baseline),
                "before": old_rule(sampled),
                "swapped": judge(swapped),
            }
        )
    mean, effect = (np.concatenate([row[name] for row in rows]) for name in ("mean", "effect"))
    judged: dict[str, Judged] = {
        name: (np.vstack([row[name][0] for row in rows]), np.vstack([row[name][1] for row in rows]))
        for name in ("as_is", "before", "swapped")
    }
    groups = {
        "the chosen rate is not better": mean <= 0,
        "it is not better, by under 0.3 standard deviations": (mean <= 0) & (effect > -NEAR),
        "it is better": mean > 0,
        "the rates differ by under 0.3 %": np.abs(mean) < ALIKE,
        "they differ by 1 % or more": np.abs(mean) >= MARGIN,
    }
    return {
        "tasks": tasks,
        "rates": len(mean),
        "groups": [
            {"group": group, "rates": int(members.sum())}
            | {name: shares((each[0][members], each[1][members])) for name, each in judged.items()}
            for group, members in groups.items()
            if members.any()
        ],
    }


def take(values: Values, splits: NDArray[np.int_]) -> Values:
    """Return the values (rates, splits) at the drawn splits (rates, draws, pairs)."""
    return np.take_along_axis(values[:, None, :], splits, axis=2)


def told(results: dict[str, Any]) -> Iterator[str]:
    """Give the results as lines of text."""
    for row in results["simulated"]["rules"]:
        yield f"{row['rule']:<16} {row['shape']:<34} {row['effect']:<4} {in_words(row)}"
    for row in results["simulated"]["equal"]:
        for truth in ("same", "at_the_margin"):
            yield f"equal, spread {row['spread']:<5} {truth:<14} {in_words(row[truth])}"
    for row in results["simulated"]["grown"]:
        yield f"{row['way']:<34} {in_words(row)}"
    for row in results["simulated"]["sensitivity"]:
        for effect, found in row["effects"].items():
            yield f"{row['constant']} {row['value']:<5} effect {effect:<4} {in_words(found)}"
    for row in results["replayed"]["groups"]:
        for name in ("as_is", "before", "swapped"):
            yield f"{row['group']:<50} {row['rates']:>6} {name:<8} {in_words(row[name])}"


def in_words(found: dict[str, float]) -> str:
    words = [f"{name} {100 * found[name]:5.2f} %" for name in ("better", "worse", "equal")]
    return f"{', '.join(words)}, {found['pairs']:.1f} pairs"


def main() -> None:
    """Read the options, simulate, replay, print, store."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verdict", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--repeats", type=int, default=40_000, help="of each simulation")
    add_out(parser)
    options = parser.parse_args()
    started = time.perf_counter()
    truths = (load_truth(task.name) for task in stored_tasks())
    results = {
        "repeats": options.repeats,
        "simulated": simulate(options.repeats),
        "replayed": replay((each for each in truths if each.splits >= FEWEST_SPLITS), DRAWS),
    }
    print("\n".join(told(results)))
    print(f"{time.perf_counter() - started:.0f} s")
    write("verdict", results, options.out, whole=options.repeats == 40_000)


if __name__ == "__main__":
    main()
