"""Samplers and pruners by name."""

from __future__ import annotations

import importlib.util
import math

import optuna
import pytest

from tuners.engines.samplers import PRUNERS, check_sampler, make_pruner, make_sampler, pruner_name

WIDE = optuna.distributions.FloatDistribution(1e-5, 1.0, log=True)


def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"`sampler` must be one of tpe, .* did you mean 'cmaes'"):
        check_sampler("cma-es")
    with pytest.raises(ValueError, match=r"`pruner` must be one of none, .* did you mean 'median'"):
        make_pruner("medien", epochs=4)


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="torch is installed")
def test_gp_without_torch_names_the_extra() -> None:
    with pytest.raises(ValueError, match=r"'gp' needs torch.*lr-range-tuner\[gp\]"):
        make_sampler("gp", 0)


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
def test_gp_with_torch() -> None:
    assert str(make_sampler("gp", 0)) == "GPSampler"


def drawn(name: str, seed: int) -> list[float]:
    study = optuna.create_study()
    for number in range(10):
        study.sampler = make_sampler(name, seed, number, position=number)
        trial = study.ask({"learning_rate": WIDE})
        study.tell(trial, abs(trial.params["learning_rate"] - 1e-2))
    return [trial.params["learning_rate"] for trial in study.trials]


@pytest.mark.parametrize("name", ["tpe", "random", "qmc", "cmaes"])
def test_draws_follow_from_the_seed(name: str) -> None:
    rates = drawn(name, 0)
    assert rates == drawn(name, 0)
    assert len(set(rates)) == 10
    assert rates != drawn(name, 1)


def test_qmc_covers_each_eighth_once_from_a_batch() -> None:
    study = optuna.create_study()
    study.enqueue_trial({"learning_rate": 1e-3})
    trials = []
    for place in range(9):  # all asked before one is told, as the engine does
        study.sampler = make_sampler("qmc", 3, 0, place, position=max(0, place - 1))
        trials.append(study.ask({"learning_rate": WIDE}))
    decades = [WIDE.to_internal_repr(trial.params["learning_rate"]) for trial in trials[1:]]
    eighths = sorted(int((math.log10(rate) + 5) / 5 * 8) for rate in decades)
    assert eighths == list(range(8))


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_qmc_draws_at_its_position_what_optuna_draws_in_turn() -> None:
    own, optunas = optuna.create_study(), optuna.create_study()
    optunas.sampler = optuna.samplers.QMCSampler(scramble=True, seed=3)
    for study in (own, optunas):
        study.enqueue_trial({"learning_rate": 1e-3})
        study.ask({"learning_rate": WIDE})
    for position in range(5):
        turn = optunas.ask({"learning_rate": WIDE}).params
        own.sampler = make_sampler("qmc", 3, position=position)
        for _ in range(2):  # a second draw, as after a kill, is the same
            assert own.ask({"learning_rate": WIDE}).params == turn


@pytest.mark.parametrize("name", PRUNERS)
def test_pruners_by_name(name: str) -> None:
    pruner = make_pruner(name, epochs=40)
    assert isinstance(pruner, optuna.pruners.BasePruner)
    assert make_pruner(pruner, epochs=40) is pruner
    assert pruner_name(name) == name


def test_no_pruner_is_the_default() -> None:
    assert isinstance(make_pruner(None, epochs=1), optuna.pruners.NopPruner)
    assert pruner_name(None) == "none"
    assert pruner_name(optuna.pruners.MedianPruner()) == "MedianPruner"
