"""OptunaOracle under the usage patterns of KerasTuner's own oracles."""

from __future__ import annotations

import doctest
import math

import optuna
import pytest
from optuna.trial import TrialState

import tuners

pytestmark = pytest.mark.slow  # importing KerasTuner loads TensorFlow

optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture
def make(tmp_path):
    """Return a maker of oracles in a project folder of their own."""
    import keras_tuner

    from tuners import OptunaOracle

    def build(study=None, space=None, reload=False, **options):
        options.setdefault("objective", keras_tuner.Objective("score", "min"))
        if space is not None:
            options["hyperparameters"] = space.copy()
        oracle = OptunaOracle(study, **options)
        oracle.verbose = 0
        oracle._set_project_dir(tmp_path, "project")
        if reload:
            oracle.reload()
        return oracle

    return build


@pytest.fixture
def space():
    import keras_tuner

    hp = keras_tuner.HyperParameters()
    hp.Float("x", -1.0, 1.0)
    return hp


def finish(oracle, trial, score, status="COMPLETED"):
    if status == "COMPLETED":
        oracle.update_trial(trial.trial_id, {"score": score})
    trial.status = status
    oracle.end_trial(trial)


def states(oracle):
    return [trial.state for trial in oracle.study.trials]


def test_create_update_end(make, space):
    oracle = make(space=space)
    trial = oracle.create_trial("tuner0")
    assert trial.status == "RUNNING"
    assert oracle.create_trial("tuner0") is trial  # one tuner runs one trial at a time
    assert states(oracle) == [TrialState.RUNNING]
    finish(oracle, trial, 0.25)
    stored = oracle.study.trials[0]
    assert stored.state == TrialState.COMPLETE
    assert stored.value == 0.25
    assert stored.params == trial.hyperparameters.values
    assert stored.user_attrs["keras_tuner_trial"] == trial.trial_id
    assert oracle.get_best_trials()[0].score == 0.25


def test_max_trials_stop_the_search(make, space):
    oracle = make(space=space, max_trials=2)
    for _ in range(2):
        finish(oracle, oracle.create_trial("a"), 1.0)
    assert oracle.create_trial("a").status == "STOPPED"
    assert len(oracle.study.trials) == 2


def test_every_kind_of_entry_has_its_twin(make):
    import keras_tuner
    from optuna import distributions as d

    hp = keras_tuner.HyperParameters()
    hp.Float("linear", -1.0, 2.0)
    hp.Float("rate", 1e-4, 1e-1, sampling="log")
    hp.Float("grid", 0.1, 0.55, step=0.2)
    hp.Float("powers", 1e-3, 1e-1, step=10, sampling="log")
    hp.Float("momentum", 1e-3, 1.0, sampling="reverse_log")
    hp.Int("units", 8, 40, step=16)
    hp.Int("width", 2, 64, sampling="log")
    hp.Int("doubling", 2, 16, step=2, sampling="log")
    hp.Choice("activation", ["relu", "tanh"])
    hp.Boolean("dropout")
    hp.Fixed("classes", 3)
    oracle = make(space=hp, max_trials=None)
    trial = oracle.create_trial("a")
    stored = oracle.study.trials[0].distributions
    assert stored == {
        "linear": d.FloatDistribution(-1.0, 2.0),
        "rate": d.FloatDistribution(1e-4, 1e-1, log=True),
        "grid": d.FloatDistribution(0.1, 0.5, step=0.2),
        "powers": d.CategoricalDistribution((1e-3, 1e-2, 1e-1)),
        "momentum (mirrored)": d.FloatDistribution(1e-3, 1.0, log=True),
        "units": d.IntDistribution(8, 40, step=16),
        "width": d.IntDistribution(2, 64, log=True),
        "doubling": d.CategoricalDistribution((2, 4, 8, 16)),
        "activation": d.CategoricalDistribution(("relu", "tanh")),
        "dropout": d.CategoricalDistribution((False, True)),
    }
    values = trial.hyperparameters.values
    assert values["classes"] == 3
    assert isinstance(values["doubling"], int)
    mirrored = oracle.study.trials[0].params["momentum (mirrored)"]
    assert values["momentum"] == pytest.approx(1.001 - mirrored)
    finish(oracle, trial, 1.0)
    assert states(oracle) == [TrialState.COMPLETE]


def test_mirrored_values_lie_near_the_upper_end(make):
    import keras_tuner

    hp = keras_tuner.HyperParameters()
    hp.Float("momentum", 1e-3, 1.0, sampling="reverse_log")
    oracle = make(
        study=optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)), space=hp
    )
    values = []
    for _ in range(10):
        trial = oracle.create_trial("a")
        values.append(trial.hyperparameters.values["momentum"])
        finish(oracle, trial, 1.0)
    assert sorted(values)[2] > 0.8
    assert max(values) <= 1.0


def test_inactive_entries_are_not_asked_for(make):
    import keras_tuner

    hp = keras_tuner.HyperParameters()
    hp.Choice("optimizer", ["sgd", "adam"])
    with hp.conditional_scope("optimizer", ["sgd"]):
        hp.Float("momentum", 0.0, 0.9)
    oracle = make(space=hp, seed=1, max_trials=None)
    seen = set()
    for _ in range(8):
        trial = oracle.create_trial("a")
        values = trial.hyperparameters.values
        seen.add(values["optimizer"])
        assert ("momentum" in values) == (values["optimizer"] == "sgd")
        finish(oracle, trial, 1.0)
    assert seen == {"sgd", "adam"}
    for stored in oracle.study.trials:
        assert ("momentum" in stored.params) == (stored.params["optimizer"] == "sgd")


def test_an_entry_that_appears_late_is_kept_in_a_new_trial(make, space):
    oracle = make(space=space)
    trial = oracle.create_trial("a")
    trial.hyperparameters.Int("late", 1, 4)
    finish(oracle, trial, 0.5)
    assert states(oracle) == [TrialState.FAIL, TrialState.COMPLETE]
    added = oracle.study.trials[1]
    assert added.params == {"x": trial.hyperparameters.values["x"], "late": 1}
    assert added.user_attrs["supersedes"] == 0
    following = oracle.create_trial("a")
    assert set(oracle.study.trials[2].params) == {"x", "late"}
    finish(oracle, following, 0.4)
    assert states(oracle)[2] == TrialState.COMPLETE


def test_entries_that_are_not_tuned_do_not_reach_the_study(make, space):
    oracle = make(space=space, tune_new_entries=False)
    trial = oracle.create_trial("a")
    trial.hyperparameters.Int("late", 1, 4)
    finish(oracle, trial, 0.5)
    assert states(oracle) == [TrialState.COMPLETE]
    assert set(oracle.study.trials[0].params) == {"x"}


def test_a_space_without_anything_to_tune_is_one_trial(make):
    import keras_tuner

    hp = keras_tuner.HyperParameters()
    hp.Fixed("classes", 3)
    oracle = make(space=hp)
    trial = oracle.create_trial("a")
    assert oracle.create_trial("b").status == "IDLE"
    finish(oracle, trial, 1.0)
    assert oracle.create_trial("a").status == "STOPPED"


def test_a_retry_keeps_its_values_and_its_trial(make, space):
    oracle = make(space=space, max_retries_per_trial=1)
    trial = oracle.create_trial("a")
    values = dict(trial.hyperparameters.values)
    finish(oracle, trial, None, "INVALID")
    assert states(oracle) == [TrialState.RUNNING]
    again = oracle.create_trial("a")
    assert again.trial_id == trial.trial_id
    assert again.hyperparameters.values == values
    finish(oracle, again, 0.5)
    assert states(oracle) == [TrialState.COMPLETE]


def test_failures_are_told_after_the_last_retry(make, space):
    oracle = make(space=space, max_retries_per_trial=1)
    for _ in range(2):
        finish(oracle, oracle.create_trial("a"), None, "INVALID")
    assert states(oracle) == [TrialState.FAIL]


@pytest.mark.filterwarnings("ignore:All-NaN axis:RuntimeWarning")  # KerasTuner's own nanmin
@pytest.mark.parametrize("score", [math.nan, math.inf])
def test_a_score_that_is_not_finite_is_a_failure(make, space, score):
    oracle = make(space=space)
    finish(oracle, oracle.create_trial("a"), score)
    assert states(oracle) == [TrialState.FAIL]


def test_consecutive_failures_end_the_search_and_reach_the_study(make, space):
    oracle = make(space=space, max_consecutive_failed_trials=2)
    finish(oracle, oracle.create_trial("a"), None, "FAILED")
    with pytest.raises(RuntimeError, match="consecutive failures exceeded the limit of 2"):
        finish(oracle, oracle.create_trial("a"), None, "FAILED")
    assert states(oracle) == [TrialState.FAIL, TrialState.FAIL]


def test_queued_trials_come_first(make, space):
    study = optuna.create_study()
    study.enqueue_trial({"x": 0.125}, user_attrs={"role": "suggestion"})
    oracle = make(study, space)
    trial = oracle.create_trial("a")
    assert trial.hyperparameters.values == {"x": 0.125}
    assert study.trials[0].user_attrs["role"] == "suggestion"


@pytest.mark.parametrize("seed", [0, 7])
def test_a_seed_repeats_the_values(make, space, seed):
    def draw():
        oracle = make(space=space, seed=seed)
        drawn = []
        for _ in range(3):
            trial = oracle.create_trial("a")
            drawn.append(trial.hyperparameters.values["x"])
            finish(oracle, trial, drawn[-1] ** 2)
        return drawn

    first = draw()
    assert first == draw()
    assert len(set(first)) == 3


def test_save_and_reload_with_a_stored_study(make, space, tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    study = optuna.create_study(storage=url, study_name="s")
    oracle = make(study, space, max_trials=4)
    finish(oracle, oracle.create_trial("a"), 0.5)
    killed = oracle.create_trial("a")  # still running when the process ends
    reloaded = make(optuna.load_study(study_name="s", storage=url), reload=True, max_trials=4)
    assert states(reloaded) == [TrialState.COMPLETE, TrialState.RUNNING]
    again = reloaded.create_trial("a")
    assert again.trial_id == killed.trial_id
    assert again.hyperparameters.values == killed.hyperparameters.values
    finish(reloaded, again, 0.25)
    finish(reloaded, reloaded.create_trial("a"), 0.1)
    assert states(reloaded) == [TrialState.COMPLETE] * 3
    assert [t.value for t in reloaded.study.trials] == [0.5, 0.25, 0.1]


def test_reload_fills_a_fresh_study(make, space):
    oracle = make(space=space, seed=0)
    finish(oracle, oracle.create_trial("a"), 0.5)
    finish(oracle, oracle.create_trial("a"), None, "FAILED")
    running = oracle.create_trial("a")
    reloaded = make(seed=0, reload=True)
    assert states(reloaded) == [TrialState.COMPLETE, TrialState.FAIL]
    assert reloaded.study.trials[0].params == oracle.study.trials[0].params
    again = reloaded.create_trial("a")
    assert again.hyperparameters.values == running.hyperparameters.values
    finish(reloaded, again, 0.3)
    fresh = reloaded.create_trial("a")  # the seed does not begin anew
    drawn = [t.params["x"] for t in reloaded.study.trials]
    assert len(set(drawn)) == 4
    assert fresh.hyperparameters.values["x"] == drawn[-1]


def test_reload_tells_what_was_saved_but_not_told(make, space, tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    oracle = make(optuna.create_study(storage=url, study_name="s"), space)
    trial = oracle.create_trial("a")
    oracle._tell = lambda trial: None  # killed between KerasTuner's files and the study
    finish(oracle, trial, 0.5)
    orphan = oracle.study.ask()
    orphan.set_user_attr("keras_tuner_trial", "09")
    orphan.set_user_attr("keras_tuner_project", oracle.get_state()["project"])
    reloaded = make(optuna.load_study(study_name="s", storage=url), reload=True)
    assert states(reloaded) == [TrialState.COMPLETE, TrialState.FAIL]
    assert reloaded.study.trials[0].value == 0.5


def test_a_trial_failed_by_another_hand_is_added_again(make, space):
    oracle = make(space=space)
    trial = oracle.create_trial("a")
    oracle.study.tell(0, state=TrialState.FAIL)  # a heartbeat may do so
    finish(oracle, trial, 0.5)
    assert states(oracle) == [TrialState.FAIL, TrialState.COMPLETE]


def test_the_study_must_have_the_objectives_direction(make):
    with pytest.raises(ValueError, match="must have one direction, 'minimize'"):
        make(optuna.create_study(direction="maximize"))
    with pytest.raises(ValueError, match="must have one direction"):
        make(optuna.create_study(directions=["minimize", "minimize"]))


def test_a_tuner_finds_the_bottom_of_a_bowl(tmp_path):
    import keras_tuner

    from tuners import OptunaOracle

    class Bowl(keras_tuner.Tuner):
        def run_trial(self, trial):
            hp = trial.hyperparameters
            return (hp.Float("x", -1.0, 1.0) - 0.5) ** 2 + hp.Choice("shift", [0.0, 1.0])

    oracle = OptunaOracle(max_trials=25, seed=0)
    oracle.verbose = 0
    tuner = Bowl(oracle, directory=tmp_path)
    tuner.search()
    best = tuner.get_best_hyperparameters()[0]
    assert best["shift"] == 0.0
    assert best["x"] == pytest.approx(0.5, abs=0.15)
    # the space was unknown before the first trial, which is therefore stored a second time
    assert states(oracle) == [TrialState.FAIL] + [TrialState.COMPLETE] * 25


def test_the_examples_in_docstrings_run():
    from tuners.integrations import keras_tuner_oracle

    assert doctest.testmod(keras_tuner_oracle).failed == 0


def test_what_is_no_study_is_refused():
    with pytest.raises(TypeError, match=r"must be an optuna\.Study or None, but got str; pass the"):
        tuners.OptunaOracle("val_loss")


def test_a_study_of_its_own_is_no_news_for_the_users_log(make, caplog):
    optuna.logging.enable_propagation()
    optuna.logging.set_verbosity(optuna.logging.INFO)
    try:
        make()
    finally:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        optuna.logging.disable_propagation()
    assert caplog.text == ""
