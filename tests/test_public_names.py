"""The public face: names, what importing them loads, docstrings, and the rules between rooms."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import search_spaces
import tuners

ROOT = Path(__file__).parents[1]
LIGHT = (
    "Choice",
    "Comparison",
    "LossCurve",
    "NarrowedSampler",
    "range_test",
    "train",
    "search",
    "LearningRateRace",
    "RaceSampler",
    "RacePruner",
    "choose",
    "compare",
    "narrow",
    "record",
    "write_report",
)
HEAVY = ("LearningRateRangeTest", "OptunaOracle", "PopulationTuner")  # extend Keras or KerasTuner
PUBLIC = [f"tuners.{name}" for name in tuners.__all__] + [
    f"search_spaces.{name}" for name in search_spaces.__all__
]
WITHOUT_TENSORFLOW = (
    "search_spaces",
    "tuners",
    "tuners._checks",
    "tuners.choosing.choice",
    "tuners.choosing.choosing",
    "tuners.comparison.judging",
    "tuners.comparison.looks",
    "tuners.comparison.result",
    "tuners.curves.bounds",
    "tuners.curves.response",
    "tuners.figures.curves",
    "tuners.figures.search",
    "tuners.curves.smoothing",
    "tuners.curves.loss_curve",
    "tuners.comparison.statistics",
    "tuners.curves.published_rules",
    "tuners.report",
    "tuners.report.summary",
    "tuners.study.recording",
    "tuners.curves.sweep",
    "tuners.study.schema",
    "tuners.searches.race",
    "tuners.searches.sampler",
    "tuners.searches.racing",
)
# their own tests run their examples, which take seconds
EXAMPLES_RUN_ELSEWHERE = (
    "tuners.integrations.keras_tuner_space",
    "tuners.engines.keras_tuner_engine",
    "tuners.integrations.keras_tuner_oracle",
    "tuners.integrations.keras_tuner_population",
)


def modules_with_examples() -> list[Any]:
    """Every module with a docstring example; those that load TensorFlow are slow."""
    found: list[Any] = []
    for path in [*source_files("search_spaces"), *source_files("tuners")]:
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        text = path.read_text()
        if ">>> " in text and name not in EXAMPLES_RUN_ELSEWHERE:
            heavy = re.search(r"^(>>> |\s{4,}>>> )?(import|from) (keras|tensorflow)", text, re.M)
            found.append(pytest.param(name, marks=pytest.mark.slow) if heavy else name)
    return found


def source_files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def fresh(code: str) -> Any:
    """What a fresh process prints as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def public(path: str) -> Any:
    module, _, name = path.partition(".")
    return getattr(importlib.import_module(module), name)


def imported(path: Path) -> set[str]:
    """The modules that a file imports anywhere, type checking included."""
    names = set[str]()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


@pytest.mark.slow
def test_every_public_name_in_a_fresh_process() -> None:
    first, second = fresh(
        "import importlib, json, pkgutil, tuners, search_spaces\n"
        "rooms = (tuners, search_spaces)\n"
        "def kinds(): return {room.__name__ + '.' + name: type(getattr(room, name)).__name__"
        " for room in rooms for name in room.__all__}\n"
        "first = kinds()\n"
        "for found in pkgutil.walk_packages(tuners.__path__, 'tuners.'):\n"
        "    importlib.import_module(found.name)\n"
        "print(json.dumps([first, kinds()]))"
    )
    assert list(first) == PUBLIC
    assert "module" not in first.values()
    # a module of a public name would take its place once it was imported
    assert second == first


@pytest.mark.slow
def test_the_light_names_load_neither_tensorflow_nor_keras() -> None:
    loaded = fresh(
        "import json, sys, tuners, search_spaces\n"
        f"for name in {LIGHT!r}: getattr(tuners, name)\n"
        "for name in search_spaces.__all__: getattr(search_spaces, name)\n"
        "print(json.dumps(sorted({'tensorflow', 'keras', 'keras_tuner', 'torch', 'jax'}"
        " & set(sys.modules))))"
    )
    assert loaded == []


@pytest.mark.slow
def test_curves_statistics_records_and_reports_work_without_tensorflow() -> None:
    names = fresh(
        "import sys\n"
        "for name in ('tensorflow', 'keras', 'keras_tuner'): sys.modules[name] = None\n"
        "import importlib, json\n"
        f"for name in {WITHOUT_TENSORFLOW!r}: importlib.import_module(name)\n"
        "import numpy as np, optuna\n"
        "from tuners import Comparison, LossCurve, record\n"
        "from tuners.study.recording import recorded_bounds, recorded_curves\n"
        "optuna.logging.set_verbosity(optuna.logging.ERROR)\n"
        "rates = np.geomspace(1e-6, 10, 200)\n"
        "losses = 2.3 - 1.4 / (1 + (1e-2 / rates) ** 2) + (rates / 0.5) ** 2\n"
        "curve, study = LossCurve(rates, losses), optuna.create_study()\n"
        "record(study, curve=curve, bounds=curve.bounds())\n"
        "print(json.dumps([*recorded_bounds(study), *recorded_curves(study)]))"
    )
    assert names == ["learning_rate", "learning_rate"]


WITHOUT_KERAS = """
import sys, json, tempfile
for name in ('tensorflow', 'keras', 'keras_tuner'): sys.modules[name] = None
import numpy as np, optuna, tuners
from search_spaces import TuningTask
optuna.logging.set_verbosity(optuna.logging.ERROR)
rates = np.geomspace(1e-6, 10, 200)
curve = tuners.LossCurve(rates, 2.3 - 1.4 / (1 + (1e-2 / rates) ** 2) + (rates / 0.5) ** 2)
sampler = tuners.NarrowedSampler({'lr': curve.bounds()}, optuna.samplers.RandomSampler(seed=0))
study = optuna.create_study(sampler=sampler)
study.optimize(lambda trial: abs(trial.suggest_float('lr', 1e-6, 1, log=True) - 0.01), 9)
tuners.narrow(study, curve, name='lr')
tuners.record(study, choice=tuners.choose(study))
page = tuners.write_report(study, tempfile.mkdtemp())
task = TuningTask('toy', lambda: None, (rates[:, None], rates), (rates[:, None], rates))
said = {'page': page.read_text()[:15], 'trials': len(study.get_trials(states=(1,)))}
for call in ('range_test(task)', 'train(task, [1e-3], [0], epochs=1)', 'search(task, (1e-3, 1.0))',
             'compare(task, 0.1)', 'LearningRateRangeTest', 'OptunaOracle', 'PopulationTuner'):
    try:
        eval('tuners.' + call)
    except ModuleNotFoundError as error:
        said[call] = str(error)
print(json.dumps(said))
"""


@pytest.mark.slow
def test_what_needs_keras_says_what_to_install_and_the_rest_works_without() -> None:
    said = fresh(WITHOUT_KERAS)
    assert said.pop("page") == "<!doctype html>"
    assert said.pop("trials") == 9
    assert len(said) == 7
    for call, message in said.items():
        assert message.startswith(f"{call.split('(')[0]} needs ")
        assert re.search(r"not installed here; run: pip install (tensorflow|keras)", message)


def test_no_module_carries_a_public_functions_name() -> None:
    for room, folder in ((tuners, "tuners"), (search_spaces, "search_spaces")):
        modules = {path.stem for path in (ROOT / folder).iterdir() if path.suffix == ".py"}
        folders = {path.name for path in (ROOT / folder).iterdir() if path.is_dir()}
        assert (modules | folders) & set(room.__all__) == set()


def test_search_spaces_never_imports_tuners() -> None:
    found = {
        (path.name, name)
        for path in source_files("search_spaces")
        for name in imported(path)
        if name.split(".")[0] in ("tuners", "run_search")
    }
    assert found == set()


def test_no_room_imports_the_command() -> None:
    found = {
        (path.name, name)
        for path in source_files("tuners")
        for name in imported(path)
        if name.split(".")[0] == "run_search"
        or (name.startswith("tuners.cli") and path.parent.name != "cli")
    }
    assert found == set()


def test_type_checkers_see_every_name() -> None:
    tree = ast.parse((ROOT / "tuners" / "__init__.py").read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    homes = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert homes == tuners._HOMES
    assert sorted(homes) == sorted(tuners.__all__) == dir(tuners)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'tuners' has no attribute 'nothing'"):
        tuners.nothing  # noqa: B018


@pytest.mark.parametrize(
    "path",
    [
        name if name.split(".")[1] not in HEAVY else pytest.param(name, marks=pytest.mark.slow)
        for name in PUBLIC
    ],
)
def test_docstrings_name_arguments_results_and_an_example(path: str) -> None:
    target = public(path)
    text = inspect.getdoc(target)
    assert text
    assert text.splitlines()[0].endswith(".")
    _, _, arguments = text.partition("\nArgs:\n")
    # KerasTuner's own arguments are passed on as keywords
    for name in inspect.signature(target).parameters:
        assert f"{name}: " in arguments, f"{path} says nothing of `{name}`"
    if inspect.isfunction(target) and target.__annotations__["return"] not in ("None", None):
        assert "\nReturns:\n" in text
    _, _, example = text.partition("\nExample:\n")
    assert ">>> " in example


@pytest.mark.parametrize("name", modules_with_examples())
def test_the_examples_in_docstrings_run(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0
