"""Narrowing the learning rate of KerasTuner tuners of every kind and spelling."""

from __future__ import annotations

import doctest
import logging
import math
import random

import numpy as np
import optuna
import pytest

from search_spaces import LearningRateBounds

pytestmark = pytest.mark.slow  # importing KerasTuner loads TensorFlow

BOUNDS = LearningRateBounds(1e-3, 1e-2, 4e-3, "ok", "by hand")
KINDS = ("RandomSearch", "BayesianOptimization", "Hyperband", "GridSearch")

optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture
def kt():
    return pytest.importorskip("keras_tuner")


@pytest.fixture
def narrow():
    from tuners.integrations.keras_tuner_space import narrow_tuner

    return narrow_tuner


@pytest.fixture
def make(kt, tmp_path):
    """Return a maker of tuners whose trials score the rate and train nothing."""

    def build(space, kind="RandomSearch", **options):
        class Toy(getattr(kt, kind)):
            def run_trial(self, trial, *args, **kwargs):
                self.hypermodel.build(trial.hyperparameters)
                rates = [v for n, v in trial.hyperparameters.values.items() if "rate" in n]
                return sum(math.log10(rate / 4e-3) ** 2 for rate in rates)

        options.setdefault("directory", tmp_path)
        options.setdefault("objective", kt.Objective("score", "min"))
        if kind == "Hyperband":
            options.setdefault("max_epochs", 3)
        else:
            options.setdefault("max_trials", 5)
        return Toy(hypermodel=space, **options)

    return build


def entry_of(tuner, name="learning_rate"):
    return next(entry for entry in tuner.oracle.hyperparameters.space if entry.name == name)


def rates_of(tuner, name="learning_rate"):
    trials = tuner.oracle.trials.values()
    return [t.hyperparameters.values[name] for t in trials if name in t.hyperparameters.values]


def wide(hp):
    hp.Int("units", 1, 3)
    hp.Float("learning_rate", 1e-5, 1.0, sampling="log")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_every_tuner_stays_inside(make, narrow, kind):
    tuner = make(wide, kind)
    assert narrow(tuner, BOUNDS, widen=False) is tuner
    tuner.search(verbose=0)
    rates = rates_of(tuner)
    assert len(rates) >= 5
    assert all(1e-3 <= rate <= 1e-2 * (1 + 1e-12) for rate in rates)
    if kind == "GridSearch":
        assert rates[0] == BOUNDS.suggestion


def scoped(hp):
    with hp.name_scope("adam"):
        hp.Float("learning_rate", 1e-5, 1.0, sampling="log")


def conditional(hp):
    hp.Choice("optimizer", ["sgd", "adam"])
    with hp.conditional_scope("optimizer", ["adam"]), hp.name_scope("adam"):
        hp.Float("learning_rate", 1e-5, 1.0, sampling="log")
    with hp.conditional_scope("optimizer", ["sgd"]), hp.name_scope("sgd"):
        hp.Float("learning_rate", 1e-4, 1.0, sampling="log")


@pytest.mark.parametrize(
    ("space", "names"),
    [
        (scoped, ["adam/learning_rate"]),
        (conditional, ["adam/learning_rate", "sgd/learning_rate"]),
        (lambda hp: hp.Float("learning_rate", 1e-5, 1.0, parent_name=None), ["learning_rate"]),
    ],
    ids=["scope", "conditions", "linear"],
)
@pytest.mark.filterwarnings("ignore:.*sampled linearly:UserWarning")
def test_every_spelling_is_found(make, narrow, space, names):
    tuner = narrow(make(space, max_trials=8, seed=1), BOUNDS, widen=False)
    tuner.search(verbose=0)
    for name in names:
        assert rates_of(tuner, name)
        assert all(1e-3 <= rate <= 1e-2 for rate in rates_of(tuner, name))


def test_an_alias_is_found_by_name(make, narrow):
    tuner = make(lambda hp: hp.Float("lr", 1e-5, 1.0, sampling="log"))
    with pytest.raises(ValueError, match="'learning_rate' is none of: lr"):
        narrow(tuner, BOUNDS)
    narrow(tuner, BOUNDS, "lr")
    assert (entry_of(tuner, "lr").min_value, entry_of(tuner, "lr").max_value) == (1e-3, 1e-2)


def test_the_users_range_is_never_left(make, narrow):
    tuner = narrow(make(lambda hp: hp.Float("learning_rate", 5e-3, 1.0, sampling="log")), BOUNDS)
    entry = entry_of(tuner)
    assert (entry.min_value, entry.max_value, entry.default) == (5e-3, 1e-2, 5e-3)


@pytest.mark.parametrize(
    ("own", "cure"),
    [
        ((0.1, 1.0), "they lie below it: lower its lower end to 0.001 where"),
        ((1e-5, 5e-4), "they lie above it: raise its upper end to 0.01 where"),
    ],
)
def test_a_disjoint_range_is_kept_with_a_warning(make, narrow, own, cure):
    tuner = make(lambda hp: hp.Float("learning_rate", *own, sampling="log"))
    with pytest.warns(UserWarning, match=f"do not meet the tuner's own .* kept as it is; {cure}"):
        narrow(tuner, BOUNDS)
    assert (entry_of(tuner).min_value, entry_of(tuner).max_value) == own


def test_linear_sampling_warns(make, narrow):
    with pytest.warns(UserWarning, match="sampled linearly"):
        narrow(make(lambda hp: hp.Float("learning_rate", 1e-5, 1.0)), BOUNDS)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (
            {"min_value": 0.001, "max_value": 0.021, "step": 0.002},
            [0.001, 0.003, 0.005, 0.007, 0.009],
        ),
        ({"min_value": 1e-4, "max_value": 1.0, "step": 10, "sampling": "log"}, [1e-3, 1e-2]),
        ({"min_value": 5e-4, "max_value": 1.0, "step": 10, "sampling": "log"}, [5e-3]),
        ({"min_value": 1e-3, "max_value": 8e-3, "step": 2, "sampling": "reverse_log"}, None),
    ],
    ids=["linear", "log", "one", "mirrored"],
)
def test_a_step_keeps_the_users_grid(make, narrow, step, expected):
    tuner = make(lambda hp: hp.Float("learning_rate", **step))
    before = list(entry_of(tuner).values)
    narrow(tuner, LearningRateBounds(9.99e-4, 1.0001e-2, 4e-3, "ok", "by hand"))
    values = list(entry_of(tuner).values)
    assert values == pytest.approx(expected or before)
    assert entry_of(tuner).default in values or expected is None


def test_a_mirrored_grid_becomes_a_choice(make, narrow, kt):
    def space(hp):
        hp.Float("learning_rate", 1e-3, 1.6e-2, step=2, sampling="reverse_log")

    tuner = narrow(make(space), BOUNDS)
    entry = entry_of(tuner)
    assert isinstance(entry, kt.engine.hyperparameters.Choice)
    assert sorted(entry.values) == pytest.approx([1e-3, 9e-3])


@pytest.mark.parametrize(
    ("choices", "kept", "warning"),
    [
        ([0.1, 0.01, 0.001, 0.0001], [0.01, 0.001], None),
        ([0.5, 0.1], [0.5, 0.1], "do not meet"),
        ([0.1, 0.05, 1e-4, 1e-5], [0.05, 1e-4], "the neighbours"),
    ],
)
def test_choices_are_filtered(make, narrow, choices, kept, warning):
    tuner = make(lambda hp: hp.Choice("learning_rate", choices))
    if warning:
        with pytest.warns(UserWarning, match=warning):
            narrow(tuner, BOUNDS)
    else:
        narrow(tuner, BOUNDS)
    assert entry_of(tuner).values == kept


@pytest.mark.parametrize(
    "space",
    [
        lambda hp: hp.Fixed("learning_rate", 0.5),
        lambda hp: hp.Choice("learning_rate", ["high", "low"]),
        lambda hp: hp.Int("learning_rate", 1, 3),
    ],
)
def test_other_kinds_are_refused(make, narrow, space):
    tuner = make(space)
    with pytest.raises(ValueError, match="must be a Float or a Choice of floats to be narrowed"):
        narrow(tuner, BOUNDS)


def test_nothing_to_narrow_raises_with_the_names_seen(make, narrow):
    with pytest.raises(ValueError, match=r"none of: dropout, units; .*add_missing=True"):
        narrow(make(lambda hp: (hp.Int("units", 1, 3), hp.Boolean("dropout"))), BOUNDS)
    with pytest.raises(ValueError, match="is none of: none"):
        narrow(make(lambda hp: None), BOUNDS)


def test_only_tuners_and_sane_baselines_are_taken(make, narrow):
    with pytest.raises(TypeError, match=r"must be a built keras_tuner.Tuner, but got int"):
        narrow(3, BOUNDS)
    with pytest.raises(ValueError, match="`baseline` must be positive and finite, but got 0"):
        narrow(make(wide), BOUNDS, baseline=0)


def test_narrowing_twice_changes_nothing(make, narrow):
    tuner = narrow(make(wide), BOUNDS)
    once = tuner.oracle.hyperparameters
    assert narrow(tuner, BOUNDS).oracle.hyperparameters is once


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", KINDS[:3])
def test_a_resumed_search_is_narrowed(make, narrow, kind):
    def space(hp):
        hp.Choice("choice_rate", [1e-4, 2e-3, 5e-3, 1e-1])
        wide(hp)

    options = {"max_epochs": 3} if kind == "Hyperband" else {"max_trials": 4}
    make(space, kind, seed=3, **options).search(verbose=0)
    options = {"hyperband_iterations": 2, **options} if kind == "Hyperband" else {"max_trials": 8}
    tuner = make(space, kind, seed=3, **options)
    done = len(tuner.oracle.trials)
    assert done >= 4
    if kind == "Hyperband":
        tuner.oracle.hyperband_iterations = 2  # KerasTuner resumes with the number on disk
    narrow(narrow(tuner, BOUNDS, widen=False), BOUNDS, "choice_rate", widen=False)
    tuner.search(verbose=0)
    fresh = list(tuner.oracle.trials.values())[done:]
    assert fresh
    drawn = [t for t in fresh if "tuner/trial_id" not in t.hyperparameters.values]
    assert all(1e-3 <= t.hyperparameters["learning_rate"] <= 1e-2 for t in drawn)
    held = set(entry_of(tuner, "choice_rate").values)
    assert held == {2e-3, 5e-3} or kind == "BayesianOptimization"


def test_a_grid_that_has_begun_is_refused(make, narrow):
    tuner = make(wide, "GridSearch", max_trials=3)
    tuner.search(verbose=0)
    with pytest.raises(ValueError, match="grid search that has begun must keep its grid, but 3"):
        narrow(tuner, BOUNDS)


def test_a_worker_leaves_the_space_to_the_chief(make, narrow, monkeypatch, caplog):
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "tuner1")
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", "1")
    tuner = make(wide)
    with caplog.at_level(logging.INFO):
        assert narrow(tuner, BOUNDS) is tuner
    assert "the chief holds the space" in caplog.text


@pytest.mark.parametrize("kind", KINDS[:3])
def test_the_baseline_is_the_first_trial(make, narrow, kind):
    tuner = narrow(
        make(wide, kind), BOUNDS, baseline=0.05
    )  # outside the bounds, as the user allows
    first, second = (tuner.oracle.create_trial(name) for name in "ab")
    assert first.hyperparameters["learning_rate"] == 0.05
    assert 1e-3 <= second.hyperparameters["learning_rate"] <= 1e-2


def test_a_grid_begins_with_a_baseline_inside(make, narrow, caplog):
    tuner = narrow(make(wide, "GridSearch"), BOUNDS, baseline=2e-3)
    assert tuner.oracle.create_trial("a").hyperparameters["learning_rate"] == 2e-3
    tuner = narrow(make(wide, "GridSearch", project_name="b"), BOUNDS, baseline=0.05)
    assert "outside the narrowed grid: not queued" in caplog.text
    assert tuner.oracle.create_trial("a").hyperparameters["learning_rate"] == 4e-3


def test_a_baseline_the_user_does_not_allow_is_not_queued(make, narrow, caplog):
    with pytest.warns(UserWarning, match="`baseline` = 10 is outside the tuner's own range"):
        tuner = narrow(make(wide), BOUNDS, baseline=10.0)
    assert tuner.oracle.create_trial("a").hyperparameters["learning_rate"] <= 1e-2
    tuner = make(lambda hp: hp.Choice("learning_rate", [0.1, 1e-3, 2e-3]), project_name="b")
    narrow(tuner, BOUNDS, baseline=0.1)
    assert "is not among the narrowed choices" in caplog.text


def test_a_begun_search_queues_no_baseline(make, narrow):
    make(wide, max_trials=2).search(verbose=0)
    tuner = narrow(make(wide, max_trials=4), BOUNDS, baseline=0.05)
    tuner.search(verbose=0)
    assert 0.05 not in rates_of(tuner)


def test_an_optuna_oracle_is_narrowed_and_queues_the_baseline(narrow, kt, tmp_path):
    from tuners import OptunaOracle

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    oracle = OptunaOracle(study, kt.Objective("score", "min"), max_trials=6)

    class Toy(kt.Tuner):
        def run_trial(self, trial, **kwargs):
            return trial.hyperparameters["learning_rate"]

    tuner = narrow(Toy(oracle, wide, directory=tmp_path), BOUNDS, baseline=0.05)
    tuner.search(verbose=0)
    rates = [trial.params["learning_rate"] for trial in study.trials]
    assert rates[0] == 0.05
    assert study.trials[0].user_attrs["role"] == "baseline"
    assert all(1e-3 <= rate <= 1e-2 for rate in rates[1:])
    assert len(rates) == 6


def test_an_optuna_oracle_queues_no_baseline_outside_the_narrowed_choices(
    narrow, kt, tmp_path, caplog
):
    from tuners import OptunaOracle

    oracle = OptunaOracle(None, kt.Objective("score", "min"))
    tuner = kt.Tuner(
        oracle, lambda hp: hp.Choice("learning_rate", [0.1, 0.01, 0.001]), directory=tmp_path
    )
    narrow(tuner, BOUNDS, baseline=0.1)
    assert "is not among the narrowed choices" in caplog.text
    assert oracle.create_trial("a").hyperparameters["learning_rate"] in (0.01, 0.001)


def test_optuna_keeps_choices_that_its_trials_hold(narrow, kt, tmp_path):
    from tuners import OptunaOracle

    oracle = OptunaOracle(None, kt.Objective("score", "min"))
    tuner = kt.Tuner(
        oracle, lambda hp: hp.Choice("learning_rate", [0.1, 0.01, 0.001]), directory=tmp_path
    )
    oracle.create_trial("a")
    with pytest.warns(UserWarning, match="cannot change the choices that its trials hold"):
        narrow(tuner, BOUNDS)
    assert entry_of(tuner).values == [0.1, 0.01, 0.001]


def plain_model(rate=0.25):
    import keras

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(rate), "mse")
    return model


def test_a_missing_rate_is_added(make, narrow):
    def space(hp):
        hp.Int("units", 1, 3)
        return plain_model()

    tuner = make(space, max_trials=3)
    state = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    narrow(tuner, BOUNDS, add_missing=True, baseline=2e-3)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == state  # noqa: NPY002
    tuner.search(verbose=0)
    assert rates_of(tuner)[0] == 2e-3
    assert all(1e-3 <= rate <= 1e-2 for rate in rates_of(tuner))
    best = tuner.get_best_hyperparameters()[0]
    model = tuner.hypermodel.build(best)
    assert float(model.optimizer.learning_rate) == pytest.approx(best["learning_rate"])

    again = make(space, max_trials=5)  # its space on disk holds the rate, its model does not
    narrow(again, BOUNDS, add_missing=True)
    best = again.get_best_hyperparameters()[0]
    model = again.hypermodel.build(best)
    assert float(model.optimizer.learning_rate) == pytest.approx(best["learning_rate"])


def test_an_added_rate_keeps_the_users_own_fit(make, narrow, kt):
    class Model(kt.HyperModel):
        def build(self, hp):
            return plain_model()

        def declare_hyperparameters(self, hp):
            hp.Int("declared", 1, 2)

        def fit(self, hp, model, *args, **kwargs):
            return "the user's own"

    tuner = narrow(make(Model(name="mine")), BOUNDS, add_missing=True)
    assert tuner.hypermodel.name == "mine"
    assert tuner.hypermodel.fit(None, None) == "the user's own"
    hp = kt.HyperParameters()
    tuner.hypermodel.declare_hyperparameters(hp)
    assert "declared" in hp


def test_nothing_is_added_where_a_rate_is_asked_for(make, narrow):
    tuner = make(conditional)
    hypermodel = tuner.hypermodel
    assert narrow(tuner, BOUNDS, add_missing=True).hypermodel is hypermodel
    tuner = make(wide, project_name="b")
    hypermodel = tuner.hypermodel
    assert narrow(tuner, BOUNDS, add_missing=True).hypermodel is hypermodel


def test_an_added_rate_that_would_be_discarded_is_refused(make, narrow, kt):
    import keras

    tuner = make(lambda hp: plain_model(), optimizer="adam")
    with pytest.raises(ValueError, match="needs a tuner without `optimizer=`"):
        narrow(tuner, BOUNDS, add_missing=True)
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    tuner = make(lambda hp: plain_model(schedule), project_name="b")
    with pytest.raises(ValueError, match="whose optimizer holds one plain rate"):
        narrow(tuner, BOUNDS, add_missing=True)


def branches(hp):
    if hp.Choice("optimizer", ["sgd", "adam"]) == "adam":
        hp.Float("adam_rate", 1e-5, 1.0, sampling="log")
        if hp.Boolean("decay"):
            hp.Float("decayed_rate", 1e-5, 1.0, sampling="log")
    elif hp.Int("units", 1, 3) == 2:
        with hp.name_scope("two"):
            hp.Float("adam_rate", 1e-5, 1.0, sampling="log")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["adam_rate", "decayed_rate"])
def test_a_rate_behind_a_choice_is_found(make, narrow, kind, name, caplog):
    options = {} if kind == "Hyperband" else {"max_trials": 16}
    tuner = make(branches, kind, seed=1, **options)
    state = random.getstate()
    narrow(tuner, BOUNDS, name, widen=False)
    assert random.getstate() == state
    assert f"{name}: comes up only with {{'optimizer': 'adam'" in caplog.text
    tuner.search(verbose=0)
    rates = rates_of(tuner, name)
    assert rates
    assert all(1e-3 <= rate <= 1e-2 for rate in rates)


def test_a_rate_that_comes_up_yet_later_is_narrowed_once_it_has(make, narrow):
    tuner = narrow(make(branches, max_trials=30, seed=0), BOUNDS, "adam_rate", widen=False)
    tuner.search(verbose=0)
    assert entry_of(tuner, "two/adam_rate").max_value == 1e-2
    first, *others = rates_of(tuner, "two/adam_rate")
    assert first == 1e-5  # as KerasTuner takes the default of what it first meets
    assert others
    assert all(1e-3 <= rate <= 1e-2 for rate in others)


def test_a_branch_that_cannot_be_built_is_passed_over(make, narrow):
    def space(hp):
        kind = hp.Choice("kind", ["a", "broken", "b"])
        if kind == "broken":
            raise ValueError
        if kind == "b":
            hp.Float("learning_rate", 1e-5, 1.0, sampling="log")

    assert entry_of(narrow(make(space), BOUNDS)).max_value == 1e-2
    with pytest.raises(ValueError, match="'lr' is none of: kind;"):
        narrow(make(space), BOUNDS, "lr")


def test_nothing_is_looked_for_where_the_tuner_takes_no_new_entries(make, narrow, kt):
    hp = kt.HyperParameters()
    hp.Choice("optimizer", ["sgd", "adam"])
    tuner = make(branches, hyperparameters=hp, tune_new_entries=False)
    with pytest.raises(ValueError, match="'adam_rate' is none of: optimizer"):
        narrow(tuner, BOUNDS, "adam_rate")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_a_rate_of_an_own_run_trial_is_declared(kt, narrow, tmp_path, kind, caplog):
    class Toy(getattr(kt, kind)):
        def run_trial(self, trial, **kwargs):
            return trial.hyperparameters.Float("learning_rate", 1e-6, 1.0, sampling="log")

    options = {} if kind == "Hyperband" else {"max_trials": 4}
    tuner = Toy(objective=kt.Objective("loss", "min"), directory=tmp_path, **options)
    with pytest.raises(ValueError, match=r"narrow\(tuner, bounds, add_missing=True\)"):
        narrow(tuner, BOUNDS)
    narrow(tuner, BOUNDS, add_missing=True, baseline=2e-3)
    assert 'its own training gets it by hp.Float("learning_rate", ...)' in caplog.text
    tuner.search(verbose=0)
    rates = rates_of(tuner)
    assert len(rates) >= 4
    assert all(1e-3 <= rate <= 1e-2 * (1 + 1e-12) for rate in rates)
    assert rates[0] == 2e-3
    again = Toy(objective=kt.Objective("loss", "min"), directory=tmp_path, **options)
    narrow(again, BOUNDS, add_missing=kind != "GridSearch")
    assert len([e for e in again.oracle.hyperparameters.space if e.name == "learning_rate"]) == 1


def undone():
    import keras

    return keras.Sequential([keras.layers.Dense(1)])


@pytest.mark.parametrize("start", [undone, lambda: plain_model()])
def test_a_rate_of_an_own_fit_is_declared(kt, narrow, tmp_path, start):
    import keras

    got = []

    class Model(kt.HyperModel):
        def build(self, hp):
            hp.Int("units", 1, 3)
            return start()

        def fit(self, hp, model, *args, **kwargs):
            rate = hp.Float("learning_rate", 1e-6, 1.0, sampling="log")
            model.compile(keras.optimizers.SGD(rate), "mse")
            got.append(float(model.optimizer.learning_rate))
            return model.fit(*args, **kwargs)

    tuner = kt.RandomSearch(Model(), kt.Objective("loss", "min"), 2, directory=tmp_path)
    narrow(tuner, BOUNDS, add_missing=True)
    tuner.search(np.zeros((4, 2)), np.zeros((4, 1)), verbose=0)
    assert got == pytest.approx(rates_of(tuner))
    assert len(set(got)) == 2
    assert all(1e-3 <= rate <= 1e-2 for rate in got)


def ten_to(value):
    return 10**value


EXPONENTS = {
    "Int": (lambda hp: hp.Int("lr_exp", -6, 0), ten_to, {-3, -2}, -2),
    "Int, falling": (lambda hp: hp.Int("lr_exp", 1, 6), lambda value: 10**-value, {2, 3}, 2),
    "Int, step": (lambda hp: hp.Int("lr_exp", -9, 0, step=3), ten_to, {-3}, -3),
    "Choice": (lambda hp: hp.Choice("lr_exp", [-4, -3, -2, -1]), ten_to, {-3, -2}, -2),
    "Float, step": (lambda hp: hp.Float("lr_exp", -4, 0, step=0.5), ten_to, {-3, -2.5, -2}, -2.5),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", EXPONENTS)
def test_a_rate_given_by_its_exponent(make, narrow, kind, case):
    space, transform, expected, first = EXPONENTS[case]
    options = {} if kind == "Hyperband" else {"max_trials": 12}
    tuner = make(space, kind, **options)
    narrow(tuner, BOUNDS, "lr_exp", transform=transform)
    assert entry_of(tuner, "lr_exp").default == first  # nearest to the suggestion, 4e-3
    tuner.search(verbose=0)
    assert set(rates_of(tuner, "lr_exp")) == expected


@pytest.mark.parametrize(("low", "high", "sign"), [(-5.0, 0.0, 1), (0.0, 6.0, -1)])
def test_a_continuous_exponent(make, narrow, low, high, sign):
    tuner = make(lambda hp: hp.Float("lr_exp", low, high), max_trials=8)
    rates = {"baseline": 0.05, "widen": False, "transform": lambda value: 10 ** (sign * value)}
    entry = entry_of(narrow(tuner, BOUNDS, "lr_exp", **rates), "lr_exp")
    ends = sorted((sign * -3, sign * -2))
    assert [entry.min_value, entry.max_value] == pytest.approx(ends)
    assert entry.default == pytest.approx(sign * math.log10(4e-3))
    tuner.search(verbose=0)
    first, *others = rates_of(tuner, "lr_exp")
    assert first == pytest.approx(sign * math.log10(0.05))
    assert all(ends[0] - 1e-9 <= value <= ends[1] + 1e-9 for value in others)


def test_an_exponent_of_an_optuna_oracle(narrow, kt, tmp_path):
    from tuners import OptunaOracle

    class Toy(kt.Tuner):
        def run_trial(self, trial, **kwargs):
            return trial.hyperparameters["lr_exp"]

    oracle = OptunaOracle(None, kt.Objective("score", "min"), max_trials=6, seed=0)
    tuner = Toy(oracle, lambda hp: hp.Int("lr_exp", -6, 0), directory=tmp_path)
    narrow(tuner, BOUNDS, "lr_exp", transform=ten_to, baseline=0.1)
    tuner.search(verbose=0)
    first, *others = (trial.params["lr_exp"] for trial in oracle.study.trials)
    assert first == -1
    assert set(others) == {-3, -2}


def test_an_exponent_is_never_guessed(make, narrow):
    for number, space in enumerate(
        (
            lambda hp: hp.Int("lr_exp", 1, 5),
            lambda hp: hp.Float("lr_exp", -5.0, 1.0),
            lambda hp: hp.Choice("lr_exp", [-3.0, 1e-3]),
        )
    ):
        with pytest.raises(ValueError, match=r"exponent .*, pass transform=lambda value: 10\*\*"):
            narrow(make(space, project_name=f"{number}"), BOUNDS, "lr_exp")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"transform": "10**"}, "`transform` must be a function from .*, but got '10"),
        ({"transform": lambda value: -value}, r"rate above 0 of each value, but made -1 of 1;"),
        ({"transform": lambda value: value / 0}, "but made ZeroDivisionError"),
        ({"transform": lambda value: None}, "but made TypeError"),
        ({"transform": ten_to, "add_missing": True}, "so `transform` must be left out"),
    ],
)
def test_a_transform_that_makes_no_rates_is_refused(make, narrow, options, message):
    with pytest.raises(ValueError, match=message):
        narrow(make(lambda hp: hp.Int("lr_exp", 1, 5)), BOUNDS, "lr_exp", **options)


def test_exponents_apart_from_the_bounds_are_kept_with_a_warning(make, narrow):
    tuner = make(lambda hp: (hp.Int("lr_exp", -9, -6), hp.Float("e", -9, -6)))
    for name in ("lr_exp", "e"):
        with pytest.warns(UserWarning, match="they lie above it: raise its upper end to 0.01"):
            narrow(tuner, BOUNDS, name, transform=ten_to)


def test_a_baseline_off_the_grid_is_not_queued(make, narrow):
    tuner = make(lambda hp: hp.Float("learning_rate", 1e-3, 1.1e-2, step=1e-3))
    with pytest.warns(UserWarning, match=r"`baseline` = 0\.0025 is outside the tuner's own"):
        narrow(tuner, BOUNDS, baseline=2.5e-3)


def test_the_examples_in_docstrings_run():
    from tuners.integrations import keras_tuner_entries, keras_tuner_space

    assert doctest.testmod(keras_tuner_space).failed == 0
    assert doctest.testmod(keras_tuner_entries).failed == 0
