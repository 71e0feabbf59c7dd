from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial
from report_studies import BOUNDS, make_comparison, make_facts, make_study, make_trial, make_trials

from search_spaces import LearningRateBounds
from tuners import choose
from tuners.comparison.result import Comparison
from tuners.figures.words import signed
from tuners.report.summary import summarize
from tuners.study.recording import record

KEYS = {
    "verdict",
    "recommended_learning_rate",
    "bounds",
    "curve",
    "trials",
    "comparison",
    "checks",
    "facts",
    "cost",
    "command",
}


def check_strict_json(summary: dict[str, Any]) -> None:
    assert set(summary) >= KEYS
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_a_full_study() -> None:
    summary = summarize(make_study())
    check_strict_json(summary)
    assert summary["verdict"] == "equal"
    assert summary["recommended_learning_rate"] == 1e-3
    assert summary["paste"] == "keras.optimizers.Adam(learning_rate=0.001)"
    assert summary["bounds"]["low"] == BOUNDS.low
    assert summary["curve"]["seeds"] == 8
    assert len(summary["curve"]["smoothed"]) == len(summary["curve"]["learning_rates"]) == 120
    assert summary["cost"]["seconds_total"] == pytest.approx(2.4 + 23.8 + 41.7)
    assert summary["cost"]["trials"] == {"complete": 23, "pruned": 0, "failed": 1, "running": 0}
    assert {entry["label"] for entry in summary["learning_curves"]} == {
        "best",
        "median",
        "worst",
        "baseline",
    }
    assert "+0.000433" in summary["sentence"]


@pytest.mark.parametrize(
    ("gain", "pairs", "verdict", "rate", "words"),
    [
        (
            0.0,
            30,
            "equal",
            1e-3,
            "Keep the baseline 0.001: learning rate 0.00162 does equally well",
        ),
        (0.02, 30, "better", 1.62e-3, "Use learning rate 0.00162: it beats the baseline 0.001"),
        (-0.02, 30, "worse", 1e-3, "Keep the baseline 0.001: learning rate 0.00162 is worse"),
        (0.0, 8, "no_difference_shown", 1e-3, "0.001: learning rate 0.00162 was not shown to be"),
        (0.02, 5, "too_few_pairs", 1e-3, "Keep the baseline 0.001: too few pairs"),
    ],
)
def test_the_five_verdicts(gain: float, pairs: int, verdict: str, rate: float, words: str) -> None:
    summary = summarize(make_study(comparison=make_comparison(gain, pairs)))
    assert summary["verdict"] == verdict
    assert summary["recommended_learning_rate"] == rate
    assert words in summary["headline"]
    assert f"Over {pairs} fresh pairs, 0.00162 won" in summary["sentence"]
    low, high = map(signed, summary["comparison"]["interval"])
    assert f"(95\u00a0% interval {low} to {high} in test loss)" in summary["sentence"]


def test_a_verdict_without_test_data_says_that_it_is_optimistic() -> None:
    summary = summarize(make_study(comparison=make_comparison(measured_on="validation")))
    assert "optimistic" in summary["sentence"]
    assert any("no test data" in limit for limit in summary["limits"])


def test_the_search_that_chose_the_baseline() -> None:
    comparison = Comparison(
        "no_difference_shown",
        "The search chose the baseline.",
        "val_loss",
        "loss",
        "test",
        "minimize",
        1e-3,
        1e-3,
        1e-3,
        0,
        40,
    )
    summary = summarize(make_study(comparison=comparison))
    check_strict_json(summary)
    assert summary["verdict"] == "no_difference_shown"
    assert summary["headline"] == "Keep the baseline 0.001: the search chose it"


def test_accuracy_has_a_line_of_its_own_with_its_interval() -> None:
    sentence = summarize(make_study(comparison=make_comparison(0.02)))["sentence"]
    told = "In test accuracy the gain is +2.20 points (95\u00a0% interval +1.72 to +2.68 points)"
    assert sentence.endswith(f"{told}: a gain.")
    by_accuracy = make_comparison(0.02, metric="accuracy", objective="val_accuracy")
    sentence = summarize(make_study(comparison=by_accuracy))["sentence"]
    assert (
        "Its mean test accuracy is 43.9\u00a0% against 46.0\u00a0%, a gain of +2.04 points"
        in sentence
    )
    assert "In test accuracy" not in sentence


def test_what_ended_the_pairs_is_told() -> None:
    def sentence(gain: float, pairs: int) -> str:
        comparison = make_comparison(gain, pairs, pairs_planned=30)
        return str(summarize(make_study(comparison=comparison))["sentence"])

    assert sentence(0.02, 20).endswith(" The look after 20 of at most 30 pairs ended it.")
    equal = sentence(-0.002, 24)
    assert "in test loss). All of it lies within 1\u00a0% of the baseline's. In test" in equal
    assert equal.endswith(" The look after 24 of at most 30 pairs ended it.")
    futile = sentence(0.0, 8)
    assert "in test loss). It holds 0, so the pairs do not tell the two apart. In test" in futile
    assert futile.endswith(
        "30 pairs ended it: with all of them too, a difference would probably not show."
    )


def test_arms_that_differ_in_more_than_the_rate_are_named() -> None:
    comparison = make_comparison(0.02)
    arms = {"chosen": replace(comparison.chosen, optimizer="Adam")}
    arms["baseline"] = replace(comparison.baseline, optimizer="SGD")
    summary = summarize(make_study(comparison=replace(comparison, **arms)))
    assert summary["headline"] == "Use Adam at 0.00162: it beats SGD at 0.001"
    assert "Over 30 fresh pairs, Adam at 0.00162 won" in summary["sentence"]
    assert summary["paste"] == "keras.optimizers.Adam(learning_rate=0.00162)"


def test_the_choice_is_told_where_nothing_was_compared() -> None:
    study = make_study(bare=True, trials=make_trials(8))
    record(study, choice=choose(study))
    summary = summarize(study)
    check_strict_json(summary)
    assert summary["recommended_learning_rate"] == choose(study).learning_rate
    assert "perform equally well within noise" in summary["sentence"]
    study.set_user_attr("choice", {"learning_rate": "much"})
    summary = summarize(study)
    assert summary["choice"] is None
    assert "The study's `choice` cannot be read and is left out." in summary["notes"]


def test_gradient_steps_are_counted_by_part_and_in_all() -> None:
    facts = make_facts(steps_search=1000, steps_comparison=3000)
    steps = summarize(make_study(facts=facts))["cost"]["gradient_steps"]
    assert steps == {"range_test": 1600, "search": 1000, "comparison": 3000, "total": 5600}


def test_an_empty_study() -> None:
    summary = summarize(make_study(bare=True))
    check_strict_json(summary)
    assert summary["verdict"] == "not_compared"
    assert summary["recommended_learning_rate"] is None
    assert summary["headline"] == "Nothing to judge yet"


def test_a_range_test_alone() -> None:
    study = make_study(bare=True)
    record(study, bounds=BOUNDS)
    summary = summarize(study)
    assert summary["recommended_learning_rate"] == BOUNDS.suggestion
    assert summary["headline"] == "Try learning rate 0.0013: the suggestion of the range test"


def test_a_foreign_objective_with_recorded_bounds() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    record(study, bounds=BOUNDS)
    study.optimize(lambda trial: BOUNDS.suggest(trial) ** 2, n_trials=6)
    summary = summarize(study)
    check_strict_json(summary)
    assert summary["parameter"] == "learning_rate"
    assert summary["choice"]["reason"] == choose(study).reason  # as no choice is stored
    assert summary["recommended_learning_rate"] == summary["choice"]["learning_rate"]
    assert summary["headline"].endswith(": not compared with a baseline")
    assert summary["sentence"].startswith("Of 6 trials the best is at 1.1e-4; ")
    few = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    few.optimize(lambda trial: BOUNDS.suggest(trial) ** 2, n_trials=3)
    assert summarize(few)["choice"] is None
    assert "is the best of 3, with objective value" in summarize(few)["sentence"]
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        study.set_metric_names(["val_loss"])
    assert summarize(study)["objective"] == "val_loss"
    assert summary["command"] is None


@pytest.mark.parametrize("name", ["lr", "my_learning_rate", "adam_lr", "eta", "alpha"])
def test_the_learning_rate_is_found_by_its_name_or_its_log_scale(name: str) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))

    def objective(trial: optuna.Trial) -> float:
        trial.suggest_float("dropout", 0.0, 0.5)
        return trial.suggest_float(name, 1e-5, 1e-1, log=True)

    study.optimize(objective, n_trials=3)
    summary = summarize(study)
    assert summary["parameter"] == name
    assert summary["limits"][0].startswith("The trials varied dropout too")


def test_a_study_without_any_rate() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    study.optimize(lambda trial: trial.suggest_int("units", 1, 9), n_trials=3)
    summary = summarize(study)
    check_strict_json(summary)
    assert summary["parameter"] is None
    assert summary["recommended_learning_rate"] is None


def test_bounds_of_several_optimizers() -> None:
    study = make_study(bare=True)
    other = LearningRateBounds(1e-3, 1.0, 0.1, "ok", "by hand")
    record(study, bounds=BOUNDS, name="adam_rate")
    record(study, bounds=other, name="sgd_rate")
    study.add_trial(make_trial(1e-3, 0.5, 0, name="adam_rate"))
    study.add_trial(make_trial(0.1, 0.4, 1, name="sgd_rate", low=1e-3, high=1.0))
    summary = summarize(study)
    assert set(summary["parameters"]) == {"adam_rate", "sgd_rate"}
    assert summary["parameter"] == "sgd_rate"
    assert summary["bounds"]["high"] == 1.0
    assert summary["recommended_learning_rate"] == 0.1


def test_a_running_study_says_so() -> None:
    study = make_study(bare=True, trials=make_trials(4))
    study.ask({"learning_rate": FloatDistribution(1e-4, 1e-2, log=True)})
    study.enqueue_trial({"learning_rate": 1e-3})
    summary = summarize(study)
    assert "4 trials have ended, 1 are running, 1 are waiting" in summary["notes"][0]
    assert [row["state"] for row in summary["trials"]].count("RUNNING") == 1


def test_an_interrupted_study_says_so() -> None:
    study = make_study(bare=True, trials=make_trials(4), facts=make_facts(trials=24))
    assert "4 of the 24 planned trials" in summarize(study)["notes"][0]


def test_when_every_trial_failed() -> None:
    trials = [make_trial(1e-3, None, i, state=TrialState.FAIL) for i in range(3)]
    summary = summarize(make_study(bare=True, trials=trials))
    check_strict_json(summary)
    assert "all 3 failed" in summary["headline"]
    assert summary["recommended_learning_rate"] is None


def test_several_objectives_are_read_by_the_first() -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    study.add_trial(
        create_trial(
            values=[0.9, 3.0],
            params={"lr": 0.1, "kind": "a"},
            distributions={
                "lr": FloatDistribution(0.01, 1, log=True),
                "kind": CategoricalDistribution(["a", "b"]),
            },
        )
    )
    summary = summarize(study)
    check_strict_json(summary)
    assert summary["direction"] == "maximize"
    assert "2 objectives" in summary["notes"][0]


def test_passwords_never_appear() -> None:
    command = "lr-range-search --storage postgresql://me:hunter2@host/db"
    study = make_study(
        name="postgresql://me:hunter2@host/db",
        facts=make_facts(command=command, storage="mysql://x:hunter2@h/db?password=hunter2"),
        trials=[make_trial(1e-3, 0.4, attributes={"how": "redis://:hunter2@h"})],
    )
    assert "hunter2" not in json.dumps(summarize(study))


@pytest.mark.parametrize(
    "attributes",
    [
        {"bounds": "hello", "curve": 3, "comparison": [], "facts": "none"},
        {"bounds": {"learning_rate": {"low": -1}}, "curve": {"learning_rate": {}}},
        {"bounds": {"x": None}, "curve": {"x": {"learning_rates": [], "losses": []}}},
        {"comparison": {"verdict": "glorious"}, "facts": {"trials": "many", "seed": {}}},
        {"comparison": {"verdict": "better", "pairs": 3}},
        {"facts": {"seconds_search": "long", "command": 4, "optimizer": ["adam"], "epochs": {}}},
    ],
)
def test_attributes_of_another_kind_are_left_out(attributes: dict[str, Any]) -> None:
    study = make_study(bare=True, trials=make_trials(3))
    for name, value in attributes.items():
        study.set_user_attr(name, value)
    summary = summarize(study)
    check_strict_json(summary)
    assert len(summary["trials"]) == 3
    for name in ("bounds", "curve", "comparison"):
        if name in attributes:
            assert summary[name] is None
            assert any(f"`{name}`" in note for note in summary["notes"])


def test_trial_attributes_of_another_kind_are_left_out() -> None:
    odd = {
        "role": 3,
        "seed": "x",
        "epochs": [1],
        "best_epoch": 1.5,
        "seconds": "long",
        "scores": "many",
        "curves": {"loss": "falling", "val_loss": [], "other": [None]},
    }
    study = make_study(bare=True, trials=[make_trial(1e-3, 0.5, attributes=odd)])
    summary = summarize(study)
    check_strict_json(summary)
    (row,) = summary["trials"]
    assert (row["role"], row["seed"], row["epochs"], row["scores"]) == ("search", None, None, None)
    assert summary["learning_curves"] == []


def test_infinite_values_are_no_numbers() -> None:
    study = make_study(bare=True)
    study.add_trial(make_trial(1e-3, float("inf"), curves=False))
    summary = summarize(study)
    check_strict_json(summary)
    assert summary["trials"][0]["value"] is None
    assert summary["best_trial"] is None


@pytest.mark.slow
def test_the_summary_is_a_function_of_the_storage_alone(tmp_path: Any) -> None:
    storage = f"sqlite:///{tmp_path}/study.db"
    kept = optuna.create_study(study_name="kept", storage=storage)
    source = make_study(trials=make_trials(4))
    for name, value in source.user_attrs.items():
        kept.set_user_attr(name, value)
    kept.add_trials(source.trials)
    loaded = optuna.load_study(study_name="kept", storage=storage)
    first, second = summarize(source), summarize(loaded)
    assert first | {"study_name": "kept", "title": "wine"} == second


@pytest.mark.parametrize("told_by", ["role", "copy"])
def test_a_trial_that_another_replaced_is_no_failure(told_by: str) -> None:
    cut = make_trial(1e-3, None, 2, state=TrialState.FAIL)
    copy = make_trial(1e-3, 0.45, 3)
    if told_by == "role":
        cut.user_attrs["role"] = "stale"
    else:  # as Optuna's own retry and the queue mark the copy
        copy.system_attrs |= {"failed_trial": 2, "retry_history": [2]}
    study = make_study(bare=True, trials=[*make_trials(2), cut, copy], facts={"trials": 3})
    summary = summarize(study)
    check_strict_json(summary)
    assert summary["trials"][2]["state"] == "STALE"
    assert summary["cost"]["trials"] == {"complete": 3, "pruned": 0, "failed": 0, "running": 0}
    assert summary["checks"][1]["number"] == 0


def test_two_optimizers_are_named() -> None:
    plain = make_comparison(0.02)
    chosen, baseline = plain.chosen, plain.baseline
    assert chosen is not None
    assert baseline is not None
    comparison = replace(
        plain,
        chosen=replace(chosen, optimizer="SGD"),
        baseline=replace(baseline, optimizer="Adam"),
    )
    summary = summarize(make_study(comparison=comparison))
    assert summary["headline"] == "Use SGD at 0.00162: it beats Adam at 0.001"
    assert summary["paste"] == "keras.optimizers.SGD(learning_rate=0.00162)"


@pytest.mark.parametrize(
    ("gain", "line"),
    [
        (0.02, "# scale CosineDecay so that its highest rate is 0.00162"),
        (0.0, "# keep the compiled CosineDecay as it is"),
    ],
)
def test_a_schedule_is_not_replaced_by_a_rate(gain: float, line: str) -> None:
    plain = make_comparison(gain)
    sides = {
        side: replace(getattr(plain, side), schedule="CosineDecay")
        for side in ("chosen", "baseline")
    }
    assert summarize(make_study(comparison=replace(plain, **sides)))["paste"] == line


def test_the_best_optimizer_of_a_search_is_pasted() -> None:
    study = optuna.create_study()
    study.add_trial(
        create_trial(
            value=0.4,
            params={"optimizer": "sgd", "learning_rate_sgd": 0.1},
            distributions={
                "optimizer": CategoricalDistribution(["adam", "sgd"]),
                "learning_rate_sgd": FloatDistribution(0.01, 1, log=True),
            },
        )
    )
    assert summarize(study)["paste"] == "keras.optimizers.SGD(learning_rate=0.1)"
