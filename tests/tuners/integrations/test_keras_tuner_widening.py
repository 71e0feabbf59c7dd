"""Bounds of KerasTuner searches that widen: real tuners of every kind, which train nothing."""

from __future__ import annotations

import logging
import math

import optuna
import pytest

from search_spaces import LearningRateBounds
from tuners import narrow

pytestmark = [
    pytest.mark.slow,  # importing KerasTuner loads TensorFlow
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

BOUNDS = LearningRateBounds(1e-4, 1e-2, 1e-3, "ok", "by hand", declared=(1e-6, 10.0))
SAID = "best trial so far lies at the edge of [0.0001, 0.01]"


@pytest.fixture
def kt():
    return pytest.importorskip("keras_tuner")


@pytest.fixture
def make(kt, tmp_path):
    """Return a maker of tuners whose best rate is 1 or, with `down`, 1e-5."""

    def build(space, kind="RandomSearch", *, goal=0.0, rate=float, oracle=None, **options):
        direction = options.pop("direction", "min")

        class Toy(kt.Tuner if oracle else getattr(kt, kind)):
            def run_trial(self, trial, *args, **kwargs):
                values = trial.hyperparameters.values
                value = next(values[name] for name in values if "rate" in name)
                loss = (math.log10(rate(value)) - goal) ** 2
                return {"score": loss if direction == "min" else -loss}

        if oracle:
            return Toy(oracle, space, directory=tmp_path)
        options.setdefault("objective", kt.Objective("score", direction))
        options.setdefault("seed", 1)  # KerasTuner takes 0 for none
        if kind == "Hyperband":
            options.pop("max_trials", None)
            options |= {"max_epochs": 9, "hyperband_iterations": 4}
        return Toy(hypermodel=space, directory=tmp_path, **options)

    return build


def wide(hp):
    hp.Float("learning_rate", 1e-6, 10.0, sampling="log")


def rates_of(tuner, name="learning_rate"):
    trials = (tuner.oracle.trials[key] for key in tuner.oracle.start_order)
    return [trial.hyperparameters.values[name] for trial in trials]


def best(tuner):
    return tuner.oracle.get_best_trials()[0].hyperparameters.values["learning_rate"]


@pytest.mark.parametrize(
    ("kind", "trials", "goal", "direction"),
    [
        ("RandomSearch", 80, 0.0, "min"),
        ("RandomSearch", 80, -5.0, "max"),
        ("BayesianOptimization", 16, 0.0, "min"),
    ],
)
def test_a_best_rate_outside_is_reached(make, kind, trials, goal, direction, caplog):
    tuner = make(wide, kind, goal=goal, direction=direction, max_trials=trials)
    narrow(tuner, BOUNDS).search(verbose=0)
    rates = rates_of(tuner)
    assert math.log10(best(tuner)) == pytest.approx(goal, abs=0.5)
    assert all(1e-4 <= rate <= 1e-2 for rate in rates[:3])
    assert all(1e-6 <= rate <= 10.0 for rate in rates)
    assert caplog.text.count(SAID) == 1


def test_hyperband_widens_by_all_that_completed(make, caplog):
    tuner = narrow(make(wide, "Hyperband"), BOUNDS)
    tuner.search(verbose=0)
    assert best(tuner) > 0.03
    assert caplog.text.count(SAID) == 1


@pytest.mark.parametrize("kind", ["RandomSearch", "BayesianOptimization", "Hyperband"])
def test_widen_false_keeps_the_bounds(make, kind, caplog):
    tuner = make(wide, kind, max_trials=10)
    narrow(narrow(tuner, BOUNDS), BOUNDS, widen=False).search(verbose=0)
    assert all(1e-4 <= rate <= 1e-2 for rate in rates_of(tuner))
    assert SAID not in caplog.text


def test_a_grid_search_keeps_its_grid(make, caplog):
    tuner = narrow(make(wide, "GridSearch", max_trials=20), BOUNDS)
    tuner.search(verbose=0)
    assert 5e-3 < max(rates_of(tuner)) <= 1e-2 * (1 + 1e-12)
    assert SAID not in caplog.text


def test_the_declared_range_is_the_end_also_of_a_resumed_search(make, kt):
    """On disk is the narrowed space, and what the user declared beside it."""
    declared = kt.HyperParameters()
    declared.Float("learning_rate", 1e-6, 0.05, sampling="log")
    for trials in (6, 50, 60):  # a build alone would say 10, and the space on disk 1e-2
        tuner = make(wide, max_trials=trials, hyperparameters=declared.copy())
        narrow(tuner, BOUNDS).search(verbose=0)
        assert len(rates_of(tuner)) == trials
    assert 0.02 < max(rates_of(tuner)) <= 0.05
    (entry,) = tuner.oracle.hyperparameters.space
    assert entry.max_value == 0.05


def test_a_search_that_is_resumed_goes_on_from_where_it_was(make):
    through = narrow(make(wide, max_trials=50, project_name="through"), BOUNDS)
    through.search(verbose=0)
    for trials in (20, 35, 50):
        tuner = narrow(make(wide, max_trials=trials, project_name="parts"), BOUNDS)
        tuner.search(verbose=0)
    assert rates_of(tuner) == rates_of(through)


CASES = {
    "choice": (lambda hp: hp.Choice("rate", [1e-5, 1e-3, 1e-2, 0.1, 1.0]), None, {1e-5}),
    "step": (lambda hp: hp.Float("rate", 1e-5, 1.0, step=10, sampling="log"), None, {1e-5}),
    "exponent": (lambda hp: hp.Int("rate", -6, 0), lambda value: 10.0**value, {-6, -5}),
    "falling": (lambda hp: hp.Int("rate", 0, 6), lambda value: 10.0**-value, {6, 5}),
}


@pytest.mark.parametrize("kind", ["RandomSearch", "BayesianOptimization", "Hyperband"])
@pytest.mark.parametrize("case", CASES)
def test_values_of_a_list_widen_to_the_next_one(make, kind, case):
    from tuners.integrations.keras_tuner_entries import listed_values

    space, transform, never = CASES[case]

    def two(hp):
        space(hp)
        hp.Float("decay", 0.0, 1.0)

    options = {"rate": transform or float}
    tuner = make(two, kind, max_trials=12 if kind == "BayesianOptimization" else 40, **options)
    narrow(tuner, BOUNDS, "rate", transform=transform).search(verbose=0)
    tried = {transform(value) if transform else value for value in rates_of(tuner, "rate")}
    assert max(tried) > 0.05
    entry = next(each for each in tuner.oracle.hyperparameters.space if each.name == "rate")
    allowed = [transform(value) if transform else value for value in listed_values(entry)]
    assert sorted(allowed)[-2:] == pytest.approx([0.1, 1.0])
    assert min(allowed) == pytest.approx({"choice": 1e-3}.get(case, 1e-4))
    assert not never & set(rates_of(tuner, "rate"))


def test_an_exponent_without_steps_widens(make):
    options = {"rate": lambda value: 10.0**value}
    tuner = make(lambda hp: hp.Float("rate", -6.0, 1.0), max_trials=60, **options)
    narrow(tuner, BOUNDS, "rate", transform=options["rate"]).search(verbose=0)
    assert max(rates_of(tuner, "rate")) > -0.5
    assert max(rates_of(tuner, "rate")) <= 1


@pytest.mark.parametrize("sampler", ["tpe", "cmaes"])
def test_an_optuna_oracle_widens_by_its_sampler(make, kt, sampler, caplog):
    from tuners import OptunaOracle

    base = {
        "tpe": optuna.samplers.TPESampler(seed=0),
        "cmaes": optuna.samplers.CmaEsSampler(seed=0),
    }[sampler]
    study = optuna.create_study(sampler=base)
    oracle = OptunaOracle(study, kt.Objective("score", "min"), max_trials=60)
    tuner = make(wide, oracle=oracle)
    narrow(tuner, BOUNDS).search(verbose=0)
    assert best(tuner) > 0.1
    assert caplog.text.count(SAID) == 1
    # one range in all trials, as those need that draw jointly
    assert {trial.distributions["learning_rate"].high for trial in study.trials} == {10.0}


def test_an_optuna_oracle_keeps_choices_and_widens_exponents(make, kt, caplog):
    from tuners import OptunaOracle

    for space, transform, high in (
        (lambda hp: hp.Choice("rate", [1e-3, 1e-2, 0.1]), None, 1e-2),
        (lambda hp: hp.Int("rate", -6, 0), lambda value: 10.0**value, 0),
    ):
        sampler = optuna.samplers.TPESampler(seed=0, multivariate=False)
        study = optuna.create_study(sampler=sampler)
        oracle = OptunaOracle(study, kt.Objective("score", "min"), max_trials=40)
        tuner = make(space, oracle=oracle, rate=transform or float)
        tuner = type(tuner)(oracle, space, directory=tuner.directory, project_name=f"{high}")
        narrow(tuner, BOUNDS, "rate", transform=transform).search(verbose=0)
        assert max(rates_of(tuner, "rate")) == high


def test_a_population_widens(kt, tmp_path):
    import keras
    import numpy as np

    from tuners import PopulationTuner

    def build(hp):
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        rate = hp.Float("learning_rate", 1e-6, 1.0, sampling="log")
        model.compile(keras.optimizers.SGD(rate), "mse")
        return model

    x = np.random.default_rng(0).normal(size=(32, 2)).astype("float32")
    y = x.sum(axis=1)
    oracle = kt.oracles.RandomSearchOracle(kt.Objective("val_loss", "min"), max_trials=24, seed=1)
    tuner = PopulationTuner(oracle, build, directory=tmp_path, lanes=8)
    narrow(tuner, (1e-5, 1e-4))  # far too low for two epochs
    tuner.search(x, y, validation_data=(x, y), batch_size=8, epochs=2, verbose=0)
    assert max(rates_of(tuner)) > 1e-4


def test_an_added_rate_widens_inside_what_its_range_test_declared(kt, tmp_path, caplog):
    class Toy(kt.RandomSearch):
        def run_trial(self, trial, **kwargs):
            rate = trial.hyperparameters.Float("learning_rate", 1e-9, 1e9, sampling="log")
            return (math.log10(rate) - 3) ** 2

    caplog.set_level(logging.INFO)
    options = {"objective": kt.Objective("loss", "min"), "max_trials": 80, "seed": 1}
    tuner = Toy(directory=tmp_path, **options)
    narrow(tuner, BOUNDS, add_missing=True).search(verbose=0)
    assert 1.0 < max(rates_of(tuner)) <= 10.0
    pair = Toy(directory=tmp_path, project_name="pair", **options)
    narrow(pair, (1e-4, 1e-2), add_missing=True).search(verbose=0)
    assert max(rates_of(pair)) <= 1e-2  # nothing says how far else
