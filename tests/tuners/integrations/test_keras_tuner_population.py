"""PopulationTuner: trials of KerasTuner's oracles trained together, or one at a time."""

from __future__ import annotations

import doctest
import logging

import numpy as np
import pytest

pytestmark = pytest.mark.slow  # trains lanes of a small model


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3)).astype("float32")
    return x, (x @ np.array([[1.0], [-2.0], [0.5]])).astype("float32")


def line(hp):
    import keras

    model = keras.Sequential([keras.layers.Dense(1)])  # built by its first batch
    rate = hp.Float("learning_rate", 1e-3, 0.2, sampling="log")
    model.compile(keras.optimizers.SGD(rate), "mse")
    return model


@pytest.fixture
def make(tmp_path):
    """Return a maker of tuners over a random oracle that is silent."""
    import keras_tuner

    from tuners import PopulationTuner

    def build(hypermodel=line, kind=PopulationTuner, oracle=None, name="val_loss", **options):
        settings = {
            key: options.pop(key)
            for key in ("max_trials", "max_consecutive_failed_trials", "hyperparameters")
            if key in options
        }
        oracle = oracle or keras_tuner.oracles.RandomSearchOracle(
            keras_tuner.Objective(name, "min"), **{"seed": 1, "max_trials": 3, **settings}
        )
        return kind(oracle, hypermodel, directory=tmp_path, **options)

    return build


def search(tuner, data, **options):
    options = {"validation_split": 0.25, "epochs": 3, "batch_size": 15, "verbose": 0, **options}
    tuner.search(*data, **options)
    return list(tuner.oracle.trials.values())


def test_trials_train_as_lanes_and_keep_their_best_weights(make, data, caplog):
    with caplog.at_level(logging.INFO, "tuners"):
        tuner = make(max_trials=5, lanes=4)
        trials = search(tuner, data)
    assert "4 trials trained population" in caplog.text
    assert "one at a time" not in caplog.text
    assert [trial.status for trial in trials] == ["COMPLETED"] * 5
    rates = [trial.hyperparameters["learning_rate"] for trial in trials]
    scores = [trial.score for trial in trials]
    assert np.argsort(rates).tolist() == np.argsort(scores)[::-1].tolist()  # faster is better here
    assert [trial.best_step for trial in trials] == [2] * 5
    assert set(trials[0].metrics.metrics) == {"loss", "val_loss"}
    x, y = data
    for model, score in zip(tuner.get_best_models(2), sorted(scores), strict=False):
        assert model.evaluate(x[45:], y[45:], verbose=0) == pytest.approx(score, rel=1e-4)


def test_a_pool_gives_the_same_scores_and_weights(make, data):
    found = []
    for workers in (1, 2):
        tuner = make(max_trials=4, lanes=4, workers=workers, loss="mae", overwrite=True)
        trials = search(tuner, data)
        found.append([[trial.score for trial in trials], tuner.get_best_models(1)[0].get_weights()])
    np.testing.assert_array_equal(found[0][0], found[1][0])
    for alone, pooled in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_array_equal(alone, pooled)


def test_a_trial_that_diverges_fails_with_its_epoch(make, data):
    def wild(hp):
        model = line(hp)
        model.optimizer.learning_rate = hp.get("learning_rate")
        return model

    import keras_tuner

    hp = keras_tuner.HyperParameters()
    hp.Float("learning_rate", 1e-3, 1e12, sampling="log")
    settings = {"hyperparameters": hp, "max_consecutive_failed_trials": 9}
    tuner = make(wild, how="sequential", max_trials=2, executions_per_trial=2, **settings)
    trials = search(tuner, data, epochs=2)
    failed = [trial for trial in trials if trial.status == "FAILED"]
    assert failed
    assert all("diverged" in trial.message for trial in failed)
    assert any("in epoch" in trial.message for trial in failed)
    assert {trial.status for trial in trials} == {"COMPLETED", "FAILED"}


def test_hyperband_promotes_and_trains_anew(make, data):
    import keras_tuner

    objective = keras_tuner.Objective("val_loss", "min")
    oracle = keras_tuner.oracles.HyperbandOracle(objective, max_epochs=3, factor=3, seed=1)
    trials = search(make(oracle=oracle, how="sequential"), data)
    by_id = {trial.trial_id: trial for trial in trials}
    promoted = [trial for trial in trials if "tuner/trial_id" in trial.hyperparameters.values]
    assert promoted
    for trial in promoted:
        earlier = by_id[trial.hyperparameters["tuner/trial_id"]]
        assert trial.score < earlier.score


def one_at_a_time(caplog):
    return [r.getMessage() for r in caplog.records if "one at a time" in r.getMessage()]


def test_the_users_own_fit_is_honoured(make, data, caplog):
    import keras_tuner

    class Own(keras_tuner.HyperModel):
        def build(self, hp):
            return line(hp)

        def fit(self, hp, model, *args, **kwargs):
            return {"val_loss": hp.get("learning_rate")}

    trials = search(make(Own(), max_trials=2), data)
    assert [t.score for t in trials] == [t.hyperparameters["learning_rate"] for t in trials]
    assert len(one_at_a_time(caplog)) == 1  # told once
    assert "has a `fit` of its own" in one_at_a_time(caplog)[0]


def test_a_subclass_with_a_hook_or_a_run_trial_goes_one_at_a_time(make, data, caplog):
    from tuners import PopulationTuner

    class Hooked(PopulationTuner):
        def on_epoch_end(self, trial, model, epoch, logs=None):
            raise AssertionError

        def run_trial(self, trial, *args, **kwargs):
            return trial.hyperparameters["learning_rate"]

    trials = search(make(kind=Hooked, max_trials=2), data)
    assert all(t.score == t.hyperparameters["learning_rate"] for t in trials)
    assert "the tuner has a `run_trial` of its own" in one_at_a_time(caplog)[0]

    class WithoutModel(Hooked):
        pass

    assert search(make(None, kind=WithoutModel, project_name="b", max_trials=1), data)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"optimizer": "adam"}, "`optimizer=` replaces the model's"),
        ({"max_model_size": 10**6}, "limits the model's size"),
        ({"name": "loss"}, None),
        ({"name": "accuracy"}, None),  # here to be minimized: the best epoch follows the oracle
    ],
)
def test_what_the_tuner_says_decides(make, options, reason):
    from tuners import PopulationTuner
    from tuners.integrations.keras_tuner_grouping import OneAtATime, refuse_own_training

    tuner = make(**options)
    if reason is None:
        refuse_own_training(tuner, PopulationTuner)
        return
    with pytest.raises(OneAtATime, match=reason):
        refuse_own_training(tuner, PopulationTuner)


def test_other_reasons_to_go_one_at_a_time(make, monkeypatch):
    from tuners import PopulationTuner
    from tuners.integrations.keras_tuner_grouping import OneAtATime, refuse_own_training

    tuner = make()
    tuner.distribution_strategy = object()
    with pytest.raises(OneAtATime, match="distribution strategy"):
        refuse_own_training(tuner, PopulationTuner)
    tuner = make(project_name="b")
    tuner.oracle.objective = object()
    with pytest.raises(OneAtATime, match="not one named value"):
        refuse_own_training(tuner, PopulationTuner)


class Toy:
    """Mixed into a tuner: trains nothing, and notes the trials."""

    def run_trial(self, trial, *args, **kwargs):
        self.ran = [*getattr(self, "ran", []), trial.trial_id]
        if kwargs.get("epochs") == self.stop_at(trial):
            raise KeyboardInterrupt
        return trial.hyperparameters["learning_rate"]

    def stop_at(self, trial):
        return None


def toy(**methods):
    from tuners import PopulationTuner

    return type("ToyTuner", (Toy, PopulationTuner), methods)


def test_an_idle_oracle_ends_the_batch(make, data):
    import keras_tuner

    class Waiting(keras_tuner.oracles.RandomSearchOracle):
        batches = ()

        def populate_space(self, trial_id):
            self.batches = (*self.batches, len(self.ongoing_trials))
            if len(self.ongoing_trials) == 2:
                return {"status": "IDLE"}
            return super().populate_space(trial_id)

    oracle = Waiting(keras_tuner.Objective("val_loss", "min"), max_trials=5, seed=1)
    tuner = make(kind=toy(), oracle=oracle)
    assert len(search(tuner, data)) == 5
    assert oracle.batches == (0, 1, 2, 0, 1, 2, 0)


def test_an_oracle_that_waits_with_nothing_to_do_is_asked_again(make, data):
    import keras_tuner

    class Slow(keras_tuner.oracles.RandomSearchOracle):
        waited = False

        def populate_space(self, trial_id):
            if not self.waited:
                self.waited = True
                return {"status": "IDLE"}
            return super().populate_space(trial_id)

    oracle = Slow(keras_tuner.Objective("val_loss", "min"), max_trials=1, seed=1)
    assert len(search(make(kind=toy(), oracle=oracle), data)) == 1


def test_an_oracle_that_waits_for_ever_ends_the_search(make, data, monkeypatch):
    import keras_tuner

    class Idle(keras_tuner.oracles.RandomSearchOracle):
        def populate_space(self, trial_id):
            return {"status": "IDLE"}

    monkeypatch.setattr("tuners.integrations.keras_tuner_population.IDLE_LIMIT", 0)
    oracle = Idle(keras_tuner.Objective("val_loss", "min"), max_trials=1)
    with pytest.raises(RuntimeError, match=r"must give a trial or stop .* was idle for 0 s; see"):
        search(make(kind=toy(), oracle=oracle), data)


def test_an_interrupted_batch_is_run_again(make, data):
    stopping = toy(stop_at=lambda self, trial: 3 if trial.trial_id == "2" else None)
    tuner = make(kind=stopping, max_trials=4)
    with pytest.raises(KeyboardInterrupt):
        search(tuner, data)
    values = {key: t.hyperparameters.values for key, t in tuner.oracle.trials.items()}
    resumed = make(kind=toy(), max_trials=4)
    trials = search(resumed, data)
    assert [trial.status for trial in trials] == ["COMPLETED"] * 4
    assert sorted(resumed.ran) == ["2", "3"]
    assert {t.trial_id: t.hyperparameters.values for t in trials} == values


def test_a_distributed_run_goes_one_at_a_time(make, data, monkeypatch, caplog):
    tuner = make(kind=toy(), max_trials=2)
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", "1")
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "tuner0")
    monkeypatch.setattr(tuner, "save", lambda: None)
    assert len(search(tuner, data)) == 2
    assert "the run is distributed" in one_at_a_time(caplog)[0]


def test_an_optuna_study_can_drive_it(make, data):
    import keras_tuner
    import optuna

    from tuners import OptunaOracle

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    oracle = OptunaOracle(None, keras_tuner.Objective("val_loss", "min"), max_trials=5, seed=0)
    search(make(kind=toy(), oracle=oracle, lanes=2), data)
    assert [trial.value for trial in oracle.study.trials] == [
        trial.params["learning_rate"] for trial in oracle.study.trials
    ]


def test_a_broken_model_is_reported_by_keras_tuner(make, data, caplog):
    def broken(hp):
        if hp.Float("learning_rate", 1e-3, 0.2, sampling="log") != 1e-3:
            raise ValueError("no such model")
        return line(hp)

    tuner = make(broken, max_trials=3, max_consecutive_failed_trials=2)
    with pytest.raises(RuntimeError, match="no such model"):
        search(tuner, data)
    assert "could not be built (no such model)" in one_at_a_time(caplog)[0]


def test_what_is_no_model_ends_the_search(make, data):
    import keras_tuner

    def nothing(hp):
        hp.Float("learning_rate", 1e-3, 0.2, sampling="log")

    with pytest.raises(keras_tuner.errors.FatalTypeError, match="valid Keras Model instance"):
        search(make(nothing), data)


def test_a_forced_population_that_cannot_be_is_refused(make, data):
    def eager(hp):
        model = line(hp)
        model.run_eagerly = True
        return model

    with pytest.raises(ValueError, match="run_eagerly"):
        search(make(eager, how="population"), data)


def test_a_trial_alone_with_its_values_is_no_group(make):
    from tuners.integrations.keras_tuner_grouping import OneAtATime

    tuner = make()
    trial = tuner.oracle.create_trial("a")
    with pytest.raises(OneAtATime, match="no two trials of a batch differ in the rate alone"):
        tuner._task_for([trial], [trial.hyperparameters["learning_rate"]], {})


def test_arguments_are_checked(make):
    with pytest.raises(ValueError, match="`lanes` must be a whole number of 1 or more, but got 0"):
        make(lanes=0)
    with pytest.raises(ValueError, match="`hypermodel` must be given"):
        make(None)


def test_the_examples_in_docstrings_run():
    from tuners.integrations import keras_tuner_population

    assert doctest.testmod(keras_tuner_population).failed == 0
