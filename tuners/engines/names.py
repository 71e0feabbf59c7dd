"""The names that choose how a search is done, for type checkers, the command and the checks."""

from __future__ import annotations

from typing import Literal, get_args

Engine = Literal["optuna", "keras-tuner"]
Sampler = Literal["tpe", "gp", "random", "qmc", "cmaes"]
Tuner = Literal["bayesian", "random", "hyperband", "grid"]
Pruner = Literal["none", "median", "percentile", "successive_halving", "hyperband"]
Direction = Literal["minimize", "maximize"]

ENGINES: tuple[str, ...] = get_args(Engine)
SAMPLERS: tuple[str, ...] = get_args(Sampler)
TUNERS: tuple[str, ...] = get_args(Tuner)
PRUNERS: tuple[str, ...] = get_args(Pruner)
DIRECTIONS: tuple[str, ...] = get_args(Direction)
