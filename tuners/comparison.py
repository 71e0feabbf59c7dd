"""compare: the chosen rate against the baseline, retrained in fresh pairs and judged on test data.

The score that a search picked its winner by looks better than it is (the best of n noisy values).
So once the rate is frozen, both arms train anew: each pair has its own seed for the split, the
weights and the order of the batches, the same for its two arms.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tuners.paired_statistics import FEWEST_PAIRS, VERDICTS, judge_pairs, proportion_noise

if TYPE_CHECKING:
    import optuna

    from search_spaces import TuningTask

SAME_RATE = 0.01  # rates closer than this share are one rate


@dataclass(frozen=True)
class Arm:
    """What one side of a comparison reached; every tuple has one entry a pair.

    Args:
        name: The task's name, with its optimizer where the sides differ in it.
        learning_rate: The rate that it trained with.
        values: The value that the verdict is on; where the run diverged, the worst finite value
            of both arms, moved on by their range.
        validation: The objective's validation value at the best epoch; None where diverged.
        metrics: Metric name to values on the same rows as `values`; None where diverged.
        accuracy: Share of rows classified rightly, () where the task is no classification.
        confusion: Mean over pairs of the counts, true classes down, predicted across; None
            where the task is no classification.
        best_epochs: The 0-based epoch whose weights were kept, -1 where none was finite.
        diverged: Whether the run diverged and so lost its pair.
        curves: Curve name to its mean over the pairs, by epoch.
        optimizer: Class name of the optimizer, "" where unknown.
        schedule: Class name of the compiled schedule whose highest rate is `learning_rate`, ""
            where the rate is constant.
    """

    name: str
    learning_rate: float
    values: tuple[float, ...] = ()
    validation: tuple[float | None, ...] = ()
    metrics: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)
    accuracy: tuple[float | None, ...] = ()
    confusion: tuple[tuple[float, ...], ...] | None = None
    best_epochs: tuple[int, ...] = ()
    diverged: tuple[bool, ...] = ()
    curves: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)
    optimizer: str = ""
    schedule: str = ""


@dataclass(frozen=True)
class Comparison:
    """The verdict on a chosen learning rate, with all that it rests on.

    A difference is signed so that positive means that the chosen rate did better, whichever way
    the metric points: baseline minus chosen for a loss, chosen minus baseline for an accuracy.

    Args:
        verdict: `"better"`, `"worse"`, `"no_difference_shown"` or `"too_few_pairs"`, for the
            chosen rate (see `tuners.paired_statistics`).
        reason: The rule that gave it, with its numbers.
        objective: The name that epochs were picked by, for example `"val_loss"`.
        metric: The metric that was judged, for example `"loss"`.
        measured_on: `"test"` or `"validation"`; the second is optimistic, since the epoch was
            picked on the same rows.
        direction: `"minimize"` or `"maximize"`, of the metric.
        chosen_learning_rate: The rate on trial.
        baseline_learning_rate: The rate to beat; of a compiled schedule, its maximum.
        recommended_learning_rate: The chosen rate if better, else the baseline.
        pairs: Pairs trained, 0 where the two rates are the same.
        epochs: Epochs of each training.
        seeds: (pairs,) seed of each pair.
        differences: (pairs,) gains of the chosen rate.
        mean_difference: Their mean; None without pairs.
        interval: 95 % paired t interval of the mean; None under two pairs.
        bootstrap_interval: 95 % BCa interval of the mean; None under two pairs.
        sign_flip_p: Exact two-sided p up to 20 pairs, else None.
        wins: Pairs that the chosen rate won, a tie counting half.
        wins_interval: Wilson 95 % interval of the share of wins; None without pairs.
        chosen: The chosen rate's runs.
        baseline: The baseline's runs.
        resplit: Whether each pair had a split of its own.
        rows: Rows that `values` were measured on, 0 where unknown.
        how: `"population"` or `"sequential"`.
        why: Why it was trained that way.
        chunk_size: Lanes trained at once, None where unknown.
        seconds: Duration of the training and the measurement.

    Raises:
        ValueError: The verdict is unknown, or there is not one difference for each pair.

    Example:
        >>> losses = {"chosen": (0.41, 0.4, 0.39), "baseline": (0.5, 0.52, 0.51)}
        >>> chosen, baseline = (
        ...     Arm("wine", rate, losses[side], diverged=(False,) * 3)
        ...     for side, rate in (("chosen", 0.002), ("baseline", 0.001))
        ... )
        >>> comparison = judge_arms(
        ...     chosen, baseline, seeds=range(3), chosen_learning_rate=0.002,
        ...     baseline_learning_rate=0.001, objective="val_loss", metric="loss",
        ...     direction="minimize", measured_on="test", epochs=30,
        ... )
        >>> comparison.verdict, comparison.wins, round(comparison.mean_difference, 2)
        ('too_few_pairs', 3.0, 0.11)
        >>> comparison.recommended_learning_rate  # the baseline, unless the chosen rate is better
        0.001
    """

    verdict: str
    reason: str
    objective: str
    metric: str
    measured_on: str
    direction: str
    chosen_learning_rate: float
    baseline_learning_rate: float
    recommended_learning_rate: float
    pairs: int
    epochs: int
    seeds: tuple[int, ...] = ()
    differences: tuple[float, ...] = ()
    mean_difference: float | None = None
    interval: tuple[float, float] | None = None
    bootstrap_interval: tuple[float, float] | None = None
    sign_flip_p: float | None = None
    wins: float = 0.0
    wins_interval: tuple[float, float] | None = None
    chosen: Arm | None = None
    baseline: Arm | None = None
    resplit: bool = False
    rows: int = 0
    how: str = ""
    why: str = ""
    chunk_size: int | None = None
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise ValueError(
                f"`verdict` must be one of {', '.join(VERDICTS)}, but got {self.verdict!r}."
            )
        if len(self.differences) != self.pairs:
            raise ValueError(
                f"`differences` must hold one number for each of the {self.pairs} pairs, "
                f"but got {len(self.differences)}."
            )

    @property
    def optimistic(self) -> bool:
        """Whether the verdict rests on validation rows, which the best epoch was picked on."""
        return self.measured_on != "test"

    @property
    def test_noise(self) -> float | None:
        """Standard deviation of the baseline's accuracy by its rows alone, sqrt(p (1 - p) / n)."""
        share = None if self.baseline is None else mean_and_sd(self.baseline.accuracy)[0]
        return None if share is None or not self.rows else proportion_noise(share, self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, strings, lists and dicts; None stands for what is not finite."""
        from tuners.study_record import plain

        return plain(asdict(self), 17)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Comparison:
        """Return the comparison that `to_dict` wrote; unknown keys are ignored."""
        arguments: dict[str, Any] = {f.name: plain[f.name] for f in fields(cls) if f.name in plain}
        arguments = {name: _tuples(value) for name, value in arguments.items()}
        for name in ("chosen", "baseline"):
            stored = arguments.get(name)
            if stored is not None:
                arguments[name] = Arm(
                    **{f.name: stored[f.name] for f in fields(Arm) if f.name in stored}
                )
        return cls(**arguments)


def compare(
    task: TuningTask | tuple[TuningTask, TuningTask],
    learning_rate: float,
    *,
    baseline: float | None = None,
    pairs: int = 30,
    epochs: int = 30,
    study: optuna.Study | None = None,
    pairs_study: optuna.Study | None = None,
    objective: str = "val_loss",
    seed: int = 1000,
    how: str | None = None,
    on_epoch: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Retrain the chosen rate and the baseline in fresh pairs, and judge them on the test data.

    Each arm keeps the weights of its best epoch by `objective`; the verdict is on the test value
    of the objective's metric (`"val_loss"`: the test loss), or on the validation value, marked
    optimistic, where the task has no test data. A run that diverges loses its pair: its value is
    the worst finite one of both arms, moved on by their range. Two that diverge are a tie.

    Args:
        task: The task; or `(chosen_task, baseline_task)` on the same data, to compare two models
            or optimizers. The pairs train on `task.resplit(seed)` where there is one.
        learning_rate: The chosen rate, positive.
        baseline: The rate to beat; None means the task's `baseline_learning_rate`, and without
            one what the model was compiled with (a schedule runs untouched). Within 1 % of
            `learning_rate` nothing is trained.
        pairs: How many, 1 or more; under 6 nothing can be decided.
        epochs: Epochs of each training, 1 or more.
        study: Optuna study onto which the comparison is recorded.
        pairs_study: Another one, whose trials the pairs become, so that several processes share
            them and a stopped comparison goes on (see `tuners.shared_pairs`).
        objective: Curve name whose best epoch is kept, such as `"val_loss"`, `"val_accuracy"`.
        seed: Seed of the first pair; pair i has `seed + i`.
        how: `"population"`, `"sequential"` or None for what the model allows.
        on_epoch: Called as `on_epoch(done, total)` with lane-epochs.

    Returns:
        The comparison: differences `(pairs,)`, their mean with its interval, the wins, the
        verdict and the recommended rate. It is recorded on `study` where one is given.

    Raises:
        ValueError: An argument breaks its rule, or the objective's metric is not measured.
        KeyboardInterrupt: Ctrl-C came during training; a part of the pairs is no comparison.

    Example:
        >>> from search_spaces import wine_task
        >>> comparison = compare(wine_task(), 0.0007, pairs=30, epochs=60)  # doctest: +SKIP
        >>> comparison.verdict  # doctest: +SKIP
        'no_difference_shown'
        >>> tasks = wine_task(optimizer="sgd"), wine_task()  # doctest: +SKIP
        >>> compare(tasks, 0.18).verdict  # doctest: +SKIP
        'no_difference_shown'
    """
    from tuners.training import compiled_learning_rate, direction

    chosen_rate = _check_rate(learning_rate, "learning_rate")
    pairs, epochs = _check_count(pairs, "pairs"), _check_count(epochs, "epochs")
    chosen_task, baseline_task = task if isinstance(task, (tuple, list)) else (task, task)
    _check_tasks(chosen_task, baseline_task)
    if baseline is None:
        baseline = baseline_task.baseline_learning_rate
    if baseline is None:
        baseline = compiled_learning_rate(baseline_task, epochs)
    baseline_rate = _check_rate(baseline, "baseline")
    metric = objective.removeprefix("val_")
    common: dict[str, Any] = {
        "objective": objective,
        "metric": metric,
        "direction": direction(objective),
        "measured_on": "validation" if chosen_task.test is None else "test",
        "chosen_learning_rate": chosen_rate,
        "baseline_learning_rate": baseline_rate,
        "epochs": epochs,
    }
    if chosen_task is baseline_task and abs(chosen_rate / baseline_rate - 1) <= SAME_RATE:
        comparison = Comparison(
            verdict="no_difference_shown",
            reason=f"The search chose the baseline: {chosen_rate:.4g} is within "
            f"{SAME_RATE:.0%} of {baseline_rate:.4g}, so no pairs were trained.",
            recommended_learning_rate=baseline_rate,
            pairs=0,
            **common,
        )
    else:
        from tuners.comparison_arms import PAIRS_AT_ONCE, Contest, join, train_pairs

        contest = Contest(
            tasks=(chosen_task, baseline_task),
            rates=(chosen_rate, baseline_rate),
            epochs=epochs,
            objective=objective,
            metric=metric,
            how=how,
            width=min(pairs, PAIRS_AT_ONCE),
        )
        tell = None if on_epoch is None else _of_total(on_epoch, 2 * pairs * epochs)
        if pairs_study is None:
            trained = train_pairs(contest, seed + np.arange(pairs), tell)
        else:
            from tuners.shared_pairs import train_shared

            trained = train_shared(pairs_study, contest, seed, pairs, tell)
        chosen_arm, baseline_arm, facts = join(contest, trained)
        seeds = [pair.seed for pair in trained]
        comparison = judge_arms(chosen_arm, baseline_arm, seeds=seeds, **common, **facts)
    if study is not None:
        from tuners.study_record import record, record_facts

        record(study, comparison=comparison)
        record_facts(
            study,
            pairs=pairs,
            epochs_comparison=2 * comparison.pairs * epochs,
            seconds_comparison=comparison.seconds,
        )
    return comparison


def judge_arms(
    chosen: Arm,
    baseline: Arm,
    *,
    seeds: Sequence[int] | np.ndarray,
    direction: str,
    chosen_learning_rate: float,
    baseline_learning_rate: float,
    **facts: Any,
) -> Comparison:
    """Return the comparison of two trained arms: differences, intervals, verdict, recommendation.

    Args:
        chosen: The chosen rate's runs; `values` of a diverged run may be anything.
        baseline: The baseline's runs, in the same order of pairs.
        seeds: (pairs,) seed of each pair.
        direction: `"minimize"` or `"maximize"`, of the values.
        chosen_learning_rate: The rate on trial.
        baseline_learning_rate: The rate to beat.
        **facts: The other fields of `Comparison`.
    """
    sign = -1.0 if direction == "minimize" else 1.0
    gains = sign * np.array([chosen.values, baseline.values], float)
    lost = np.array([chosen.diverged, baseline.diverged], bool) | ~np.isfinite(gains)
    gains = give_lost_runs_a_value(gains, lost)
    differences = gains[0] - gains[1]
    result = judge_pairs(differences)
    sides = [
        replace(
            arm,
            values=tuple((sign * gains[side]).tolist()),
            diverged=tuple(lost[side].tolist()),
        )
        for side, arm in enumerate((chosen, baseline))
    ]
    better = result.verdict == "better"
    return Comparison(
        verdict=result.verdict,
        reason=result.reason,
        direction=direction,
        chosen_learning_rate=chosen_learning_rate,
        baseline_learning_rate=baseline_learning_rate,
        recommended_learning_rate=chosen_learning_rate if better else baseline_learning_rate,
        pairs=result.pairs,
        seeds=tuple(int(seed) for seed in seeds),
        differences=tuple(differences.tolist()),
        mean_difference=result.mean_difference,
        interval=result.interval,
        bootstrap_interval=result.bootstrap_interval,
        sign_flip_p=result.sign_flip_p,
        wins=result.wins,
        wins_interval=result.wins_interval,
        chosen=sides[0],
        baseline=sides[1],
        **facts,
    )


def give_lost_runs_a_value(gains: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """Return `gains` (2, pairs), larger is better, with lost runs below all others.

    A lost run gets the worst value of the others less their range (less 1 where they are all
    equal), so that it loses its pair and the mean difference stays finite. Without any run that
    finished, all are 0.

    Example:
        >>> gains = np.array([[0.5, np.nan], [0.25, 0.75]])
        >>> give_lost_runs_a_value(gains, np.isnan(gains)).tolist()
        [[0.5, -0.25], [0.25, 0.75]]
    """
    kept = gains[~lost]
    worst = kept.min() - (np.ptp(kept) or 1.0) if kept.size else 0.0
    return np.where(lost, worst, gains)


def mean_and_sd(values: Sequence[float | None]) -> tuple[float | None, float | None]:
    """Return mean and standard deviation (n - 1) of what is finite; None where there is too little.

    Example:
        >>> mean_and_sd([1.0, 3.0, None])
        (2.0, 1.4142135623730951)
    """
    finite = [value for value in values if value is not None and math.isfinite(value)]
    mean = float(np.mean(finite)) if finite else None
    return mean, float(np.std(finite, ddof=1)) if len(finite) > 1 else None


def _of_total(tell: Callable[[int, int], None], total: int) -> Callable[[int], None]:
    return lambda done: tell(min(done, total), total)


def _check_rate(rate: Any, name: str) -> float:
    real = isinstance(rate, (int, float, np.number)) and not isinstance(rate, bool)
    if not real or not 0 < float(rate) < math.inf:
        raise ValueError(f"`{name}` must be positive and finite, but got {rate!r}; pass e.g. 1e-3.")
    return float(rate)


def _check_count(count: Any, name: str) -> int:
    whole = isinstance(count, (int, np.integer)) and not isinstance(count, bool)
    if not whole or count < 1:
        advice = f"; {FEWEST_PAIRS} is the fewest that can decide" if name == "pairs" else ""
        raise ValueError(
            f"`{name}` must be a whole number of 1 or more, but got {count!r}{advice}."
        )
    return int(count)


def _check_tasks(chosen: TuningTask, baseline: TuningTask) -> None:
    if chosen is baseline:
        return
    from search_spaces.task import data_hash

    for part in ("train", "validation", "test"):
        sides = [getattr(task, part) for task in (chosen, baseline)]
        hashes = ["" if data is None else data_hash(data) for data in sides]
        if hashes[0] != hashes[1]:
            raise ValueError(
                f"The two tasks must hold the same data, but their `{part}` differ "
                f"({hashes[0] or 'none'} against {hashes[1] or 'none'})."
            )


def _tuples(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(_tuples(item) for item in value)
    if isinstance(value, Mapping):
        return {key: _tuples(item) for key, item in value.items()}
    return value
