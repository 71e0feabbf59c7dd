"""A pickle that a storage brought is never run: real malicious ones, real states of CMA-ES."""

from __future__ import annotations

import os
import pickle
import pickletools
from pathlib import Path
from typing import Any

import cmaes
import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuners.engines.cmaes_state import read_state
from tuners.engines.samplers import make_sampler
from tuners.integrations.optuna_sampler import NarrowedSampler

RATE = optuna.distributions.FloatDistribution(1e-5, 1.0, log=True)
REFUSED = r"the state of CMA-ES stored in trial \d+ must hold numbers of CMA-ES alone, but "


def ask(study: optuna.Study, number: int) -> float:
    """Draw, as the search does, and tell."""
    base = make_sampler("cmaes", 0, number)
    study.sampler = NarrowedSampler({"learning_rate": (1e-4, 1e-1)}, base)
    trial = study.ask({"learning_rate": RATE})
    study.tell(trial, abs(np.log(trial.params["learning_rate"] / 1e-2)))
    return trial.params["learning_rate"]


@pytest.mark.slow
def test_an_honest_study_goes_on_from_its_stored_state(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path}/study.db"
    study = optuna.create_study(storage=address, study_name="honest")
    rates = [ask(study, number) for number in range(20)]
    for number in range(20, 30):  # each from the file alone
        rates.append(ask(optuna.load_study(storage=address, study_name="honest"), number))
    stored = [t for t in study.get_trials() if any("optimizer" in key for key in t.system_attrs)]
    assert len(stored) > 3
    other = optuna.create_study()
    assert [ask(other, number) for number in range(30)] == rates
    # Optuna's own sampler draws the same, so that nothing but the check was added
    plain = optuna.create_study()
    for number in range(12):
        seed = int(np.random.SeedSequence([0, number]).generate_state(1)[0] % 2**31)
        own = optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
        plain.sampler = NarrowedSampler({"learning_rate": (1e-4, 1e-1)}, own)
        trial = plain.ask({"learning_rate": RATE})
        plain.tell(trial, abs(np.log(trial.params["learning_rate"] / 1e-2)))
    assert [trial.params["learning_rate"] for trial in plain.trials] == rates[:12]


def attack(path: Path) -> bytes:
    class Attack:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {path}",)

    return pickle.dumps(Attack())


def put(study: optuna.Study, content: str, key: str = "cma:optimizer:0") -> None:
    study.add_trial(
        optuna.trial.create_trial(
            value=0.1,
            params={"learning_rate": 1e-2},
            distributions={"learning_rate": RATE},
            system_attrs={key: content, "cma:generation": 0},
        )
    )


@pytest.mark.parametrize("place", ["sqlite", "journal"])
def test_a_real_malicious_pickle_in_a_study_is_never_run(tmp_path: Path, place: str) -> None:
    from tuners.study.storage import open_storage

    touched = tmp_path / "touched"
    study = optuna.create_study(storage=open_storage(f"{place}:///{tmp_path}/study"))
    for number in range(6):
        ask(study, number)
    put(study, attack(touched).hex())
    with pytest.raises(ValueError, match=REFUSED + r"'posix\.system' was found; do not use"):
        ask(study, 6)
    assert not touched.exists()
    ran = optuna.samplers.CmaEsSampler()._restore_optimizer(study.get_trials()[6:7])
    assert touched.exists(), ran  # Optuna's own sampler does run it: the test can fail


def test_the_search_refuses_it_in_one_line(tmp_path: Path) -> None:
    study = optuna.create_study()
    put(study, attack(tmp_path / "touched").hex())
    study.sampler = make_sampler("cmaes", 0)
    with pytest.raises(ValueError, match=REFUSED) as caught:
        study.ask({"learning_rate": RATE})
    assert str(caught.value).isprintable()


def state(protocol: int = 4, **changes: Any) -> bytes:
    optimizer = cmaes.CMA(mean=np.zeros(2), sigma=1.0, bounds=np.array([[0.0, 1.0]] * 2), seed=1)
    for _ in range(3):
        size = optimizer.population_size
        optimizer.tell([(optimizer.ask(), float(place)) for place in range(size)])
    for name, value in changes.items():
        setattr(optimizer, name, value)
    return pickle.dumps(optimizer, protocol)


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_states_of_the_library_pass(protocol: int) -> None:
    read_state(state(protocol), 0)
    read_state(pickletools.optimize(state(protocol)), 0)


class Named:
    def __init__(self, *reduced: Any) -> None:
        self.reduced = reduced

    def __reduce__(self) -> Any:
        return self.reduced


OBJECTS = np.array([1, "two"], dtype=object)
HOSTILE: dict[str, bytes] = {
    "a call inside a state": state(_mean=Named(eval, ("1",))),
    "a function of NumPy": pickle.dumps(Named(np.load, ("x.npy",))),
    "a module": b"cos\nsystem\n(S'true'\ntR.",
    "an attribute of an allowed class": b"\x8c\x0acmaes._cma\x8c\x0cCMA.__init__\x93.",
    "an array of objects": state(_mean=OBJECTS),
    "a structured array": state(_mean=np.zeros(1, dtype=[("a", "O"), ("b", "f8")])),
    "a text array": state(_mean=np.array(["x"])),
    "another class": state(_mean=Path("x")),
    "a dict of more": state(_mean={"a": 1}),
    "another optimizer inside": state(_mean=cmaes.CMA(mean=np.zeros(1), sigma=1.0)),
    "no optimizer": pickle.dumps([1, 2]),
    "an array alone": pickle.dumps(np.zeros(3)),
    "an array made by its class": pickle.dumps(Named(np.ndarray, ((2,), "O"))),
    "a dtype of objects": pickle.dumps(Named(np.dtype, ("O", False, True))),
    "a dtype with fields": pickle.dumps(
        Named(np.dtype, ("f8", False, True), (3, "<", None, ("a",), {"a": 1}, 8, 8, 0))
    ),
    "a scalar of objects": pickle.dumps(
        Named(type(np.float64(0)).__reduce__(np.float64(0))[0], (np.dtype("O"), b"x"))
    ),
    "a dtype that says its numbers are objects": pickle.dumps(
        Named(np.dtype, ("f8", False, True), (3, "<", None, None, None, -1, -1, 63))
    ),
    "a function with other defaults": pickle.dumps(
        Named(np.zeros(1).__reduce__()[0], (np.ndarray, (0,), b"b"), {"a": 1})
    ),
    "an attribute for a class": b"cnumpy\nndarray\n}S'a'\nI1\nsb.",
    "half of it": state()[: len(state()) // 2],
    "nothing": b"",
    "junk": bytes(range(256)),
    "a reference to outside": b"Pfile\n.",
    "an extension": b"\x82\x01.",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_whatever_else_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=REFUSED):
        read_state(HOSTILE[name], 3)


@pytest.mark.parametrize("text", ["zz", "abc", 5, None])
def test_a_text_that_is_no_pickle_is_refused(text: Any) -> None:
    study = optuna.create_study()
    put(study, text)
    study.sampler = make_sampler("cmaes", 0)
    with pytest.raises(ValueError, match=REFUSED):
        study.ask({"learning_rate": RATE})
    put(study, state(_mean=np.zeros(3)).hex().replace(b"_c_1d".hex(), b"_c_2d".hex()))
    with pytest.raises(ValueError, match=REFUSED + "'KeyError'"):
        study.ask({"learning_rate": RATE})
    put(study, state().hex(), key="cma:optimizer:7")  # its first part is missing
    with pytest.raises(ValueError, match=REFUSED + "'KeyError in its text'"):
        study.ask({"learning_rate": RATE})


@given(st.binary(max_size=80), st.integers(0, 1500))
def test_any_bytes_inside_a_state_are_refused_or_harmless(junk: bytes, place: int) -> None:
    content = state()
    try:
        read_state(content[:place] + junk + content[place:], 0)
    except ValueError as error:
        assert str(error).startswith("the state of CMA-ES")  # noqa: PT017
