"""Options as values that check themselves; the table of refusals is in tests/test_run_search.py."""

from __future__ import annotations

import math
from typing import Any

import pytest
import typer
from hypothesis import example, given
from hypothesis import strategies as st

from search_spaces._input import InputError
from tuners.cli.option_checks import check_options, check_study_name
from tuners.cli.options import LARGEST_SEED, JobOptions, with_options


def test_the_defaults_are_those_of_the_wine_job() -> None:
    options = JobOptions()
    assert options.optimizers == ("adam",)
    assert (options.engine, options.algorithm) == ("optuna", "race")
    assert (options.planned_budget, options.splits, options.pairs, options.seed) == (12, 4, 30, 0)
    assert 30 <= options.epochs <= 50
    assert options.declared == (1e-5, 1.0)


def test_what_was_not_given_keeps_its_default() -> None:
    asked: list[JobOptions] = []
    app = typer.Typer(add_completion=False)
    app.command()(with_options(lambda _, options: asked.append(options)))
    app(
        args=["--trials", "3", "--splits", "2", "--range", "1e-4", "0.1", "--how", "sequential"],
        standalone_mode=False,
    )
    app(args=[], standalone_mode=False)
    changed = JobOptions(trials=3, splits=2, declared=(1e-4, 1e-1), how="sequential")
    assert asked == [changed, JobOptions()]


def test_the_algorithm_follows_from_the_engine() -> None:
    assert JobOptions(engine="keras-tuner").algorithm == "bayesian"
    assert JobOptions(engine="keras-tuner", tuner="grid").algorithm == "grid"
    assert JobOptions(sampler="random").algorithm == "random"
    assert JobOptions(optimizer="adam,sgd").algorithm == "race"
    assert JobOptions(optimizer="adam,sgd", trials=8).algorithm == "tpe"


def test_optimizers_are_named_with_commas_between_in_any_case() -> None:
    assert JobOptions(optimizer="Adam, SGD").optimizers == ("adam", "sgd")


def test_a_sampler_whose_extra_is_missing_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    found = importlib.util.find_spec

    def without_torch(name: str, *rest: Any) -> Any:
        return None if name == "torch" else found(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", without_torch)
    with pytest.raises(InputError, match=r"`sampler` 'gp' needs torch.*lr-range-tuner\[gp\]"):
        check_options(JobOptions(sampler="gp"))


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_a_study_name_that_is_no_text_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="`--study-name` must be text"):
        check_study_name(name)


@given(st.text(min_size=1, max_size=500).filter(lambda name: name.strip() and "\0" not in name))
@example("<script>alert(1)</script>\n'\"")
def test_any_other_text_is_a_study_name(name: str) -> None:
    check_study_name(name)


@given(seed=st.integers(0, LARGEST_SEED))
@example(0)
@example(LARGEST_SEED)
def test_any_seed_gives_pairs_seeds_of_their_own(seed: int) -> None:
    options = JobOptions(seed=seed)
    assert 0 <= options.pair_seed < 2**31
    if seed < 10**6:
        assert options.pair_seed >= seed + 1000  # the search uses seeds from `seed` on


@given(st.floats(), st.floats())
@example(1e-3, 1e-3)
@example(math.nan, 1.0)
@example(1e-3, math.inf)
def test_a_range_is_kept_or_refused_by_its_rule(low: float, high: float) -> None:
    if 0 < low < high < math.inf:
        check_options(JobOptions(declared=(low, high)))
    else:
        with pytest.raises(InputError, match=r"`--range` must hold 0 < LOW < HIGH < infinity"):
            check_options(JobOptions(declared=(low, high)))
