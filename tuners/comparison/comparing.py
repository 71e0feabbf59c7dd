"""compare: two arms, retrained in fresh pairs and judged on test data.

The score that a search picked its winner by looks better than it is (the best of n noisy values).
So once the rate is frozen, it and the baseline train anew: each pair has its own seed for the
split, the weights and the order of the batches, the same for its two arms.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from search_spaces._data import data_hash
from search_spaces._input import is_number
from search_spaces.task import TuningTask
from tuners._checks import InputError, check_rate, check_whole, require_keras
from tuners._progress import progress_bar
from tuners.comparison.judging import gains_of, judge_arms, look
from tuners.comparison.looks import FEWEST_PAIRS, MARGIN, looks
from tuners.comparison.pairs import Pair, PairedDesign, aggregate_arms
from tuners.comparison.result import Comparison, recorded_comparison
from tuners.comparison.shared_pairs import train_in, train_shared
from tuners.searches.plan import SAME_RATE, same_rate
from tuners.study.recording import record, record_facts
from tuners.study.tuner_study import Tuner, as_study
from tuners.training import records
from tuners.training.pool import TrainingPool, training_pool
from tuners.training.rates import compiled_learning_rate
from tuners.training.rows import batches_of

if TYPE_CHECKING:
    import optuna


def compare(
    task: TuningTask | tuple[TuningTask, TuningTask],
    learning_rate: float | tuple[float | None, float | None],
    *,
    baseline: float | None = None,
    pairs: int = 30,
    epochs: int = 30,
    study: optuna.Study | Tuner | None = None,
    margin: float = MARGIN,
    objective: str = "val_loss",
    direction: str | None = None,
    seed: int = 1000,
    how: str | None = None,
    early_looks: bool = True,
    verbose: int = 1,
    on_epoch: Callable[[int, int], None] | None = None,
    workers: int = 1,
    pool: TrainingPool | None = None,
) -> Comparison:
    """Retrain two arms in fresh pairs, and judge them on the test data.

    The arms are the chosen rate and the baseline, or two tasks at rates of their own: two
    optimizers, a schedule and a constant rate, two models. Each arm keeps the weights of its best
    epoch by `objective`; the verdict is on the test value of the objective's metric
    (`"val_loss"`: the test loss), or on the validation value, marked optimistic, where the task has
    no test data. A run that diverges loses its pair: its value is the worst finite one of both
    arms, moved on by their range. Two that diverge are a tie.

    The pairs are looked at after 6, 8, 10, 12, 16, 20, 24 and 30 of them, and then after every 10,
    at levels that are fixed (see `tuners.comparison.looks`). They end where a look shows a
    difference or shows that there is none, or where further pairs would hardly show one. Over all
    looks, equal arms are called "better" in at most 2.5 % of comparisons, however often `pairs`
    is raised.

    Args:
        task: The task; or `(one, other)` on the same data. The pairs train on
            `task.resplit(seed)` where there is one.
        learning_rate: The chosen rate, positive; or `(rate, other_rate)`, the second being the
            baseline. None in such a pair means what `baseline=None` means.
        baseline: The rate to beat; None means the task's `baseline_learning_rate`, and without
            one what the model was compiled with (a schedule runs untouched). Within 1 % of
            `learning_rate` nothing is trained.
        pairs: How many at most, 1 or more; under 6 nothing can be decided. With fewer than 30 the
            levels are as strict as the first looks of 30, so leave it at 30 unless you must stop.
        epochs: Epochs of each training, 1 or more.
        study: Optuna study, or KerasTuner tuner, onto which it is recorded. The pairs become
            trials of the study "NAME pairs" beside it, so that a stopped comparison is resumed,
            one with more pairs trains the further ones only, and several processes may share them.
        margin: The verdict is "equal" where the whole interval of the gain lies within this share
            of the baseline's mean value, in [0, 1). With 0 only arms that never differ are equal.
        objective: Curve name whose best epoch is kept, such as `"val_loss"`, `"val_accuracy"`.
        direction: "minimize" or "maximize"; None judges by the objective's name.
        seed: Seed of the first pair; pair i has `seed + i`.
        how: `"population"`, `"sequential"` or None for what the model allows.
        early_looks: False trains all pairs and looks once, at the level of that look.
        verbose: 1 prints the verdict in one line, with a progress bar on work over two seconds; 0
            is silent.
        on_epoch: Called as `on_epoch(done, total)` with lane-epochs.
        workers: Processes that train, each with its share of the cores, 1 or more; with 1 this
            one does. A script needs `if __name__ == "__main__":` for more.
        pool: Such processes where they are there already, in place of `workers`.

    Returns:
        The comparison: differences `(pairs,)`, their mean with its interval, the wins, the
        verdict and the recommended rate. It is recorded on `study` where one is given.

    Raises:
        ValueError: An argument breaks its rule, or the objective's metric is not measured.
        KeyboardInterrupt: Ctrl-C came during training; a part of the pairs is no comparison.

    Example:
        >>> from search_spaces import wine_task
        >>> comparison = compare(wine_task(), 0.0007, epochs=60)  # doctest: +SKIP
        >>> comparison.verdict, comparison.pairs  # doctest: +SKIP
        ('no_difference_shown', 10)
        >>> tasks = wine_task(optimizer="sgd"), wine_task()  # doctest: +SKIP
        >>> compare(tasks, (0.18, None)).verdict  # doctest: +SKIP
        'no_difference_shown'
    """
    require_keras("compare")
    study = None if study is None else as_study(study)
    pairs = check_whole(pairs, "pairs", cure=f"{FEWEST_PAIRS} is the fewest that can decide")
    epochs = check_whole(epochs, "epochs")
    workers = check_whole(workers, "workers")
    if not is_number(margin) or not 0 <= margin < 1:
        raise InputError(f"`margin` must be in [0, 1), but got {margin!r}; 0.01 is 1 %.")
    chosen_task, baseline_task = _check_tasks(task)
    (rate, other), name = _check_rates(learning_rate, baseline)
    chosen_rate = _rate_of(chosen_task, rate, "learning_rate", epochs)
    baseline_rate = _rate_of(baseline_task, other, name, epochs)
    metric, goal = objective.removeprefix("val_"), records.direction(objective, direction)
    common: dict[str, Any] = {
        "objective": objective,
        "metric": metric,
        "direction": goal,
        "measured_on": "validation" if chosen_task.test is None else "test",
        "chosen_learning_rate": chosen_rate,
        "baseline_learning_rate": baseline_rate,
        "epochs": epochs,
    }
    if chosen_task is baseline_task and same_rate(chosen_rate, baseline_rate):
        comparison = Comparison(
            verdict="no_difference_shown",
            reason=f"The search chose the baseline: {chosen_rate:.4g} is within "
            f"{SAME_RATE:.0%} of {baseline_rate:.4g}, so no pairs were trained.",
            recommended_learning_rate=baseline_rate,
            pairs=0,
            **common,
        )
    else:
        design = PairedDesign(
            tasks=(chosen_task, baseline_task),
            rates=(chosen_rate, baseline_rate),
            epochs=epochs,
            objective=objective,
            metric=metric,
            direction=goal,
            how=how,
        )

        def enough(first: list[Pair]) -> bool:
            found = gains_of(*aggregate_arms(design, first)[:2], goal)
            return not look(*found, pairs, margin)[1]

        stop = enough if early_looks else None
        with contextlib.ExitStack() as stack:
            bar = stack.enter_context(
                progress_bar("comparison", bool(verbose) and on_epoch is None)
            )
            pool = pool or stack.enter_context(training_pool(workers))
            tell = _of_total(on_epoch or bar, 2 * pairs * epochs)
            if study is not None:
                trained = train_shared(study, design, seed, pairs, tell, pool, stop)
            else:
                trained = _train_alone(pool, design, seed + np.arange(pairs), tell, stop)
        chosen_arm, baseline_arm, facts = aggregate_arms(design, trained)
        comparison = judge_arms(
            chosen_arm,
            baseline_arm,
            seeds=[pair.seed for pair in trained],
            pairs_planned=pairs,
            margin=margin,
            **common,
            **facts,
        )
    if study is not None:
        known = recorded_comparison(study)
        comparison = replace(comparison, times_judged=_times_judged(known, comparison))
        record(study, comparison=comparison)
        done = 2 * comparison.pairs * epochs
        record_facts(
            study,
            pairs=pairs,
            epochs_comparison=done,
            steps_comparison=done * batches_of(chosen_task),
            seconds_comparison=comparison.seconds,
        )
    if verbose:
        print(comparison.describe())
    return comparison


def _train_alone(
    pool: TrainingPool | None,
    design: PairedDesign,
    seeds: np.ndarray,
    tell: Callable[[int], None],
    enough: Callable[[list[Pair]], bool] | None,
) -> list[Pair]:
    """Train pairs without a study, all at once or until a look is enough."""
    if enough is None:
        return train_in(pool, design, seeds, tell)
    trained: list[Pair] = []
    for count in looks(len(seeds)) or (len(seeds),):
        done = 2 * design.epochs * len(trained)
        trained += train_in(pool, design, seeds[len(trained) : count], lambda n: tell(done + n))  # noqa: B023
        if enough(trained):
            break
    return trained


def _times_judged(known: Comparison | None, new: Comparison) -> int:
    """Return how many comparisons a study has made; the same one again is none."""
    if known is None or not known.pairs:
        return 1
    same = known.seeds == new.seeds and np.allclose(
        known.differences, new.differences, rtol=1e-9, atol=0.0
    )  # a study keeps 12 digits
    return known.times_judged + (not same and new.pairs > 0)


def _of_total(tell: Callable[[int, int], None], total: int) -> Callable[[int], None]:
    return lambda done: tell(min(done, total), total)


def _check_rates(learning_rate: Any, baseline: float | None) -> tuple[tuple[Any, Any], str]:
    """Return the rates of both arms, None for what the task says, and where the second is from."""
    if not isinstance(learning_rate, (tuple, list)):
        cure = "pass e.g. choose(study).learning_rate"
        return (check_rate(learning_rate, "learning_rate", cure=cure), baseline), "baseline"
    if len(learning_rate) != 2:
        raise InputError(
            f"`learning_rate` must be one rate, or one for each of two arms, but got "
            f"{len(learning_rate)}; pass e.g. (0.003, 0.001)."
        )
    if baseline is not None:
        raise InputError(
            f"`baseline` is the second of two rates already, but got {baseline!r} beside "
            f"{tuple(learning_rate)}; leave it out."
        )
    return (learning_rate[0], learning_rate[1]), "learning_rate"


def _rate_of(task: TuningTask, rate: float | None, name: str, epochs: int) -> float:
    """Return the rate of an arm, by default that of its task."""
    rate = task.baseline_learning_rate if rate is None else rate
    rate = compiled_learning_rate(task, epochs) if rate is None else rate
    return check_rate(rate, name)


def _check_tasks(task: Any) -> tuple[TuningTask, TuningTask]:
    """Return the tasks of both arms, once they are tasks on the same data."""
    both = tuple(task) if isinstance(task, (tuple, list)) else (task, task)
    if len(both) != 2 or not all(isinstance(each, TuningTask) for each in both):
        got = ", ".join(dict.fromkeys(type(each).__name__ for each in both)) or "nothing"
        raise InputError(
            f"`task` must be a TuningTask, or a pair of them, but got {got}; pass "
            "TuningTask(name, build_model, train, validation, test)."
        )
    chosen, baseline = both
    if chosen is baseline:
        return chosen, baseline
    for part in ("train", "validation", "test"):
        sides = [getattr(task, part) for task in (chosen, baseline)]
        hashes = ["" if data is None else data_hash(data) for data in sides]
        if hashes[0] != hashes[1]:
            raise InputError(
                f"The two tasks must hold the same data, but their `{part}` differ "
                f"({hashes[0] or 'none'} against {hashes[1] or 'none'})."
            )
    split = [each.name for each in both if each.resplit is not None]
    if len(split) == 1:
        raise InputError(
            f"The two tasks must both have a `resplit` or none, but {split[0]!r} alone has; "
            'pass e.g. resplit="shuffle" to both.'
        )
    return chosen, baseline
