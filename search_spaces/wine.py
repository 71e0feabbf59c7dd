"""The wine-quality task: load, clean, split, scale, build.

Rows with a blank cell are dropped; a wine of quality 6 or more is good; 80 % of the rows train
and 20 % test, in the split of `TEST_SEED`; a part of the training rows validates. The inputs are
the eleven measures and `is_white_wine`, scaled by mean and standard deviation of the rows that
are trained on. The model is a dense network of 128, 256 and 256 ReLU units with one sigmoid.
"""

from __future__ import annotations

import hashlib
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from search_spaces._input import InputError, check_choice, check_whole, is_number
from search_spaces.task import TuningTask
from search_spaces.wine_csv import MEASURES, find_wine_csv, parse_wine_csv, read_bytes

if TYPE_CHECKING:
    import pandas as pd

FEATURES = (*MEASURES, "is_white_wine")
GOOD_QUALITY = 6
TEST_FRACTION = 0.2
TEST_SEED = 42
UNITS = (128, 256, 256)
# what `keras.optimizers.get` knows by name and builds without further arguments
OPTIMIZERS = (
    "adadelta",
    "adafactor",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "ftrl",
    "lion",
    "muon",
    "nadam",
    "rmsprop",
    "sgd",
)

Pair = tuple[np.ndarray, np.ndarray]


class WineRows(NamedTuple):
    """Unscaled rows: inputs float64 of shape (rows, 12) as `FEATURES`, labels of shape (rows,)."""

    train: Pair
    test: Pair


def wine_task(
    csv: str | os.PathLike[str] | None = None,
    *,
    optimizer: str = "adam",
    seed: int = 42,
    drop_repeats: bool = False,
    validation_fraction: float = 0.2,
) -> TuningTask:
    """Return the wine-quality task: tell wines of quality 6 or more from the others.

    The test rows never move: they are those of `train_test_split(..., random_state=42)`, 1,293 of
    the 6,463 complete rows. `task.resplit(seed)` moves the validation part and scales all three
    parts anew. With `validation_fraction=0.0` all 5,170 other rows are trained on, as in the
    published experiment; then there are none left to choose an epoch by, `validation` repeats the
    training rows (so a validation loss says nothing about new wines), and `resplit` is None.

    Args:
        csv: Path of a CSV in the layout of the Kaggle copy; None for our own copy.
        optimizer: Name of a Keras optimizer, as in `OPTIMIZERS`; it keeps its default rate.
        seed: Moves the validation part only; a whole number from 0 to 2**32 - 1.
        drop_repeats: Drop rows that repeat an earlier one before the split. In our copy they are
            1,168, and leave 330 of the 1,293 test rows with a twin among the training rows.
        validation_fraction: Part of the training rows that validates, 0 or more and below 1.

    Returns:
        The task "wine": x float32 of shape (rows, 12) in the order of `FEATURES`, y float32 of
        shape (rows,), 1 for a good wine; `facts` say what was read, dropped and repeated.

    Raises:
        FileNotFoundError: The CSV is missing.
        ValueError: The CSV breaks a rule of `parse_wine_csv`; its complete rows are none, too few
            to split, or of one class; or an argument breaks its rule.

    Example:
        >>> task = wine_task()
        >>> [len(y) for _, y in (task.train, task.validation, task.test)]
        [4136, 1034, 1293]
        >>> task.facts["rows_incomplete"], task.facts["repeats_shared"]
        (34, 330)
    """
    optimizer = check_optimizer(optimizer)
    if not (is_number(validation_fraction) and 0 <= validation_fraction < 1):
        raise InputError(
            "`validation_fraction` must be a number of 0 or more and below 1, "
            f"but got {validation_fraction!r}; pass e.g. 0.2."
        )
    seed = _check_seed(seed)
    source = find_wine_csv() if csv is None else csv
    content = read_bytes(source)
    name = repr(str(source))
    table = parse_wine_csv(content, name)
    complete = table.dropna()
    repeated = complete.duplicated()
    kept = complete[~repeated] if drop_repeats else complete
    rows, shared = split_test(kept, name)
    resplit = partial(split_validation, rows, validation_fraction)
    train, validation, test = resplit(seed)
    return TuningTask(
        "wine",
        partial(build_wine_model, optimizer),
        train,
        validation,
        test,
        resplit=resplit if validation_fraction else None,
        facts={
            "data_file": Path(source).name,
            "data_sha256": hashlib.sha256(content).hexdigest()[:12],
            "rows_read": len(table),
            "rows_incomplete": len(table) - len(complete),
            "rows_repeated": int(repeated.sum()),
            "repeats": "dropped" if drop_repeats else "kept",
            "repeats_shared": shared,
            "good_quality": GOOD_QUALITY,
            "test_fraction": TEST_FRACTION,
            "test_seed": TEST_SEED,
            "test_good": int(test[1].sum()),
            "test_bad": int((1 - test[1]).sum()),
            "validation_fraction": float(validation_fraction),
            "validation_seed": seed,
            "features": len(FEATURES),
            "feature_names": ", ".join(FEATURES),
            "optimizer": optimizer,
        },
    )


def split_test(complete: pd.DataFrame, name: str = "the CSV") -> tuple[WineRows, int]:
    """Return the training and test rows, and how many test rows have a twin in training.

    Args:
        complete: Rows of `parse_wine_csv` without blank cells, (rows, 13).
        name: How an error calls the file.

    Raises:
        ValueError: There are no rows, rows of one class only, or too few of a class to split.
    """
    from sklearn.model_selection import train_test_split

    if complete.empty:
        raise InputError(
            f"{name} must have complete rows, but each has a blank cell; fill in at least some."
        )
    x = complete[list(MEASURES)].assign(is_white_wine=complete["type"] == "white")
    y = (complete["quality"] >= GOOD_QUALITY).to_numpy()
    counts = {"good": int(y.sum()), "bad": int((~y).sum())}
    if 0 in counts.values():
        raise InputError(
            f"{name} must have good wines (quality {GOOD_QUALITY} or more) and bad ones, but all "
            f"{len(y)} complete rows are {'good' if y[0] else 'bad'}; add the other class."
        )
    train, test = train_test_split(
        np.arange(len(y)), test_size=TEST_FRACTION, random_state=TEST_SEED
    )
    if min(np.bincount(y[train], minlength=2)) < 2:  # what a stratified split needs
        raise InputError(
            f"{name} must have enough complete rows that two good and two bad wines are left to "
            f"train on, but has {counts['good']} good and {counts['bad']} bad ones; add rows."
        )
    shared = _count_twins(complete.iloc[train], complete.iloc[test])
    inputs, labels = x.to_numpy(dtype="float64"), y.astype("float32")
    return WineRows((inputs[train], labels[train]), (inputs[test], labels[test])), shared


def _count_twins(train: pd.DataFrame, test: pd.DataFrame) -> int:
    known = set(train.itertuples(index=False, name=None))
    return sum(row in known for row in test.itertuples(index=False, name=None))


def split_validation(rows: WineRows, fraction: float, seed: int) -> tuple[Pair, Pair, Pair]:
    """Return `(train, validation, test)`, scaled by what is trained on.

    Each input becomes `(x - m) / s`, with m and s its mean and standard deviation over the new
    training rows (the divisor of s is their number); s is 1 where an input never varies.

    Args:
        rows: Unscaled training and test rows.
        fraction: Part of the training rows that validates, stratified by label; 0 trains on all
            of them and gives them as validation too.
        seed: Which rows validate; a whole number from 0 to 2**32 - 1.

    Returns:
        Three pairs (x, y): float32 of shape (rows, 12), float32 of shape (rows,).

    Raises:
        ValueError: `seed` breaks its rule, or `fraction` leaves too few rows on a side.
    """
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import StandardScaler

    seed = _check_seed(seed)
    x, y = rows.train
    order = np.arange(len(y))
    train = validation = order
    if fraction:
        held = int(np.ceil(fraction * len(y)))
        if held < 2 or len(y) - held < 2:
            raise InputError(
                f"`validation_fraction` must leave two rows or more to train on and to validate, "
                f"but {fraction:g} of {len(y)} rows is {held}; pass e.g. 0.2, or add rows."
            )
        train, validation = train_test_split(order, test_size=held, random_state=seed, stratify=y)
    scaler = StandardScaler().fit(x[train])
    train_pair, validation_pair, test_pair = (
        (scaler.transform(inputs).astype("float32"), labels)
        for inputs, labels in ((x[train], y[train]), (x[validation], y[validation]), rows.test)
    )
    return train_pair, validation_pair, test_pair


def _check_seed(seed: Any) -> int:
    return check_whole(seed, "seed", 0, 2**32 - 1, cure="pass e.g. 42")


def check_optimizer(optimizer: Any) -> str:
    """Return the name of a Keras optimizer in lower case.

    Raises:
        ValueError: It is not in `OPTIMIZERS`; the message suggests the nearest name.
    """
    name = optimizer.lower() if isinstance(optimizer, str) else optimizer
    return check_choice(name, OPTIMIZERS, "optimizer", cure="pass e.g. 'adam'")


def build_wine_model(optimizer: str = "adam") -> Any:
    """Return the compiled model: Dense 128, 256, 256 (ReLU), 1 (sigmoid), on 12 inputs.

    Args:
        optimizer: Name of a Keras optimizer; it keeps its default rate.

    Returns:
        A `keras.Model` with binary cross-entropy and the metric "accuracy" (threshold 0.5).
    """
    import keras

    hidden = [keras.layers.Dense(units, activation="relu") for units in UNITS]
    model = keras.Sequential(
        [keras.Input((len(FEATURES),)), *hidden, keras.layers.Dense(1, activation="sigmoid")]
    )
    model.compile(
        optimizer=keras.optimizers.get(optimizer),
        loss="binary_crossentropy",
        metrics=[keras.metrics.BinaryAccuracy(name="accuracy")],
    )
    return model
