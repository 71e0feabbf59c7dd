from __future__ import annotations

import keras
import keras_tuner
import numpy as np
import optuna
import pytest

from search_spaces import LearningRateBounds, TuningTask
from tuners import OptunaOracle, choose, compare, narrow, record, write_report
from tuners.comparison.result import recorded_comparison
from tuners.study.recording import recorded_bounds, recorded_curves
from tuners.study.tuner_study import as_study, optuna_silenced

GENERATOR = np.random.default_rng(0)
X = GENERATOR.standard_normal((64, 3)).astype("float32")
Y = (X @ np.array([1.0, -1.0, 0.5])).astype("float32")
HALVES = {"validation_data": (X[32:], Y[32:]), "verbose": 0}


def build(hp) -> keras.Model:
    kind = hp.Choice("activation", ["relu", "tanh"])
    hidden = keras.layers.Dense(hp.Int("units", 2, 8), activation=kind)
    model = keras.Sequential([keras.Input((3,)), hidden])
    if hp.Boolean("normed"):
        model.add(keras.layers.BatchNormalization())
    model.add(keras.layers.Dense(1))
    model.compile(keras.optimizers.Adam(hp.Float("lr", 1e-4, 1e-1, sampling="log")), "mse")
    return model


def searched(tmp_path, kind=keras_tuner.RandomSearch, **options) -> keras_tuner.Tuner:
    tuner = kind(build, "val_loss", directory=tmp_path, seed=0, **options)
    tuner.search(X[:32], Y[:32], **({} if "max_epochs" in options else {"epochs": 2}), **HALVES)
    return tuner


def test_a_study_is_its_own() -> None:
    with optuna_silenced():
        study = optuna.create_study()
    assert as_study(study) is study


@pytest.mark.slow
def test_the_trials_of_a_tuner_become_those_of_one_study_that_grows(tmp_path) -> None:
    tuner = searched(tmp_path, max_trials=3)
    study = as_study(tuner)
    trials = study.trials
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 3
    theirs = list(tuner.oracle.trials.values())
    assert [trial.value for trial in trials] == [each.score for each in theirs]
    for ours, each in zip(trials, theirs, strict=True):
        values = dict(each.hyperparameters.values)
        assert ours.user_attrs["other_values"] == {"normed": values.pop("normed")}
        assert ours.params == values
        assert ours.distributions["lr"] == optuna.distributions.FloatDistribution(
            1e-4, 1e-1, log=True
        )
    assert (study.direction.name, study.metric_names) == ("MINIMIZE", ["val_loss"])
    tuner.oracle.max_trials = 4
    tuner.search(X[:32], Y[:32], epochs=2, **HALVES)
    assert as_study(tuner) is study
    assert len(study.trials) == 4


@pytest.mark.slow
def test_choose_compare_record_and_write_report_take_a_tuner(tmp_path) -> None:
    tuner = searched(tmp_path / "kt", max_trials=6)
    choice = choose(tuner)
    assert 1e-4 <= choice.learning_rate <= 1e-1
    assert (choice.parameter, choice.trials, choice.objective) == ("lr", 6, "val_loss")
    record(tuner, choice=choice)
    half = keras_tuner.HyperParameters()
    task = TuningTask("mine", lambda: build(half), (X[:32], Y[:32]), (X[32:], Y[32:]))
    comparison = compare(task, choice.learning_rate, pairs=6, epochs=2, study=tuner, verbose=0)
    recorded = recorded_comparison(as_study(tuner))  # to 12 digits
    assert recorded is not None
    assert recorded.differences == pytest.approx(comparison.differences)
    assert recorded.verdict == comparison.verdict
    page = write_report(tuner, tmp_path / "report.html")
    assert "lr" in page.read_text()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer:UserWarning")
def test_trials_of_fewer_epochs_than_hyperband_s_most_are_pruned_ones(tmp_path) -> None:
    tuner = searched(tmp_path, keras_tuner.Hyperband, max_epochs=3)
    study = as_study(tuner)
    epochs = [trial.user_attrs["epochs"] for trial in study.trials]
    assert set(epochs) == {1, 3}
    states = [trial.state.name for trial in study.trials]
    assert states == ["COMPLETE" if count == 3 else "PRUNED" for count in epochs]
    short = next(trial for trial in study.trials if trial.user_attrs["epochs"] == 1)
    assert short.intermediate_values == {1: pytest.approx(short.value)}


@pytest.mark.slow
def test_an_optuna_oracle_has_a_study_of_its_own(tmp_path) -> None:
    oracle = OptunaOracle(objective="val_loss", max_trials=2, seed=0)
    tuner = keras_tuner.Tuner(oracle, build, directory=tmp_path)
    assert as_study(tuner) is oracle.study


@pytest.mark.slow
def test_narrowing_a_tuner_is_on_its_study(tmp_path, caplog) -> None:
    optuna.logging.enable_propagation()
    try:
        tuner = keras_tuner.RandomSearch(build, "val_loss", max_trials=2, directory=tmp_path)
        bounds = LearningRateBounds(1e-3, 1e-2, 3e-3, "ok", "by hand")
        narrow(tuner, bounds, name="lr")
    finally:
        optuna.logging.disable_propagation()
    assert recorded_bounds(as_study(tuner)) == {"lr": bounds}
    assert recorded_curves(as_study(tuner)) == {}
    assert caplog.text == ""


@pytest.mark.parametrize("target", ["study", None, 3, keras_tuner.HyperParameters(), keras.Model])
def test_what_has_no_study_is_refused(target) -> None:
    for call in (as_study, choose, record, lambda it: write_report(it, "report.html")):
        with pytest.raises(ValueError, match=r"must be an optuna\.Study or a keras_tuner\.Tuner, "):
            call(target)
