"""The published experiment as it was, and what fresh pairs say of the rate that it chose.

The wine model trains with Adam's default rate; then with a rate that grows from epoch to epoch,
`r(e) = 1e-3 * 10^(e / 30)` for epoch e from 0; then at the rate r(e) with the lowest loss whose
neighbours are not volatile. All three train on all rows that are not tested on, watch the test
rows, and are judged at their last epoch. That is what makes the published gain doubtful: one run
of each, and a rate read off one curve. So the same rate is compared with the default in pairs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from search_spaces import TuningTask, wine_task
from search_spaces._input import InputError
from search_spaces.task import with_data
from tuners.cli.console import Screen
from tuners.cli.errors import DONE, users_input
from tuners.cli.option_checks import check_folder_name
from tuners.cli.run_folder import locked, make_folder
from tuners.cli.tensorflow_logging import load_tensorflow
from tuners.comparison.comparing import compare
from tuners.comparison.confusion import count_confusion
from tuners.comparison.result import Comparison
from tuners.curves.loss_curve import LossCurve
from tuners.engines.opening import differences
from tuners.figures.curves import plain_lines
from tuners.figures.style import png
from tuners.report import write_whole
from tuners.report.formatting import rate
from tuners.report.verdicts import decide
from tuners.study.metadata import task_hash
from tuners.study.schema import plain
from tuners.training.models import built_model, random_state_kept

FIRST_RATE, EPOCHS_A_DECADE = 1e-3, 30
DEFAULT_RATE = 1e-3  # Adam's
PUBLISHED = {
    "learning_rate": 0.007,
    "accuracy": {"default": 0.76, "chosen": 0.79},
    "confusion": [[348, 134], [135, 676]],
}
RESULT = "article.json"


def ramp_rate(epoch: int) -> float:
    """Return the rate of an epoch of the article's ramp, counted from 0.

    Example:
        >>> ramp_rate(0), round(ramp_rate(30), 12)
        (0.001, 0.01)
    """
    return float(FIRST_RATE * 10 ** (epoch / EPOCHS_A_DECADE))


def carry_out_article(screen: Screen, data: str | None, out: str, **numbers: int) -> int:
    """Repeat the experiment, write its plots and numbers, print them; return the exit code.

    Args:
        screen: Where to print.
        data: Path of a wine CSV; None for our own copy.
        out: Folder for the plots and the numbers.
        **numbers: `epochs` of each training, `pairs` that judge the chosen rate, and the `seed`
            of weights and batches.

    Raises:
        InputError: The data break a rule, or the folder holds something else.
    """
    check_folder_name(out)
    with screen.quiet_output():
        with users_input("`--data`", OSError):
            task = wine_task(data, validation_fraction=0.0)
        folder = Path(out).expanduser()
        settings = numbers | {"data": task_hash(task)}
        result = read_result(folder / RESULT, settings)
        if result is None:
            screen.note("loading TensorFlow")
            load_tensorflow()
            make_folder(folder)
            with locked(folder):
                result = {"settings": settings, **repeat(task, data, screen, **numbers)}
                for name, figure in draw_plots(result).items():
                    write_whole(folder / name, png(figure))
                write_whole(folder / RESULT, json.dumps(result, indent=1, allow_nan=False) + "\n")
        if screen.json:
            screen.print_json(json.dumps(result, indent=1))
        else:
            screen.print("\n".join(describe(result)))
            screen.print(f"plots and numbers: {folder}")
    return DONE


def read_result(path: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    """Return what an earlier run of the same settings wrote, None where there is nothing.

    Raises:
        InputError: The file holds something else.
    """
    if not path.exists():
        return None
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        known = dict(result["settings"])
    except (OSError, ValueError, TypeError, KeyError):
        raise InputError(f"{str(path)!r} is no result of `article`; pass another --out.") from None
    differing = differences(known, settings)
    if differing:
        raise InputError(
            f"{str(path)!r} was made with other settings: {'; '.join(differing)}; "
            "use the same settings, or another --out."
        )
    return dict(result)


def repeat(
    task: TuningTask, data: str | None, screen: Screen, *, epochs: int, pairs: int, seed: int
) -> dict[str, Any]:
    """Return all numbers of the experiment: three runs, the chosen rate, the pairs."""
    watched = with_data(task, validation=task.test)
    rates = [ramp_rate(epoch) for epoch in range(epochs)]

    def run(title: str, run_rates: Sequence[float]) -> dict[str, Any]:
        with screen.stage(title, "epochs") as tell:
            return train_once(watched, run_rates, seed, tell)

    default = run("Adam's default", [DEFAULT_RATE] * epochs)
    ramp = run("growing rate", rates)
    curve = LossCurve(np.array(rates), np.array(ramp["curves"]["loss"]), kind="per_epoch")
    picked = curve.suggest("article")
    chosen = run(f"rate {picked:.4g}", [picked] * epochs)
    with screen.stage("pairs", "epochs") as tell:
        comparison = compare(
            wine_task(data),
            picked,
            pairs=pairs,
            epochs=epochs,
            seed=1000 * (seed + 1) % 2**31,
            verbose=0,
            on_epoch=tell,
        )
    return plain(
        {
            "learning_rate": picked,
            "ramp": {"learning_rates": rates, **ramp},
            "default": default,
            "chosen": chosen,
            "comparison": comparison.to_dict(),
            "published": PUBLISHED,
        },
        10,
    )


def train_once(
    task: TuningTask, rates: Sequence[float], seed: int, tell: Callable[[int, int], None]
) -> dict[str, Any]:
    """Train one model with `model.fit`, an epoch at each of the rates.

    Returns:
        `curves` by name, each with one value an epoch; `accuracy` and `confusion` on the test
        rows, true classes down and predicted across, with the weights of the last epoch.
    """
    import keras

    assert task.test is not None
    model, epochs = built_model(task, seed), len(rates)
    (x, y), (x_test, y_test) = task.train, task.test
    callbacks = [
        keras.callbacks.LearningRateScheduler(lambda epoch, _: rates[epoch]),
        keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, _: tell(epoch + 1, epochs)),
    ]
    with random_state_kept(seed):
        history = model.fit(
            x,
            y,
            batch_size=task.batch_size,
            epochs=epochs,
            validation_data=task.validation,
            callbacks=callbacks,
            verbose=0,
        ).history
        outputs = model.predict(x_test, batch_size=1024, verbose=0)
    confusion = count_confusion(y_test, outputs)
    assert confusion is not None
    history.pop("learning_rate", None)
    return {
        "curves": {name: [float(value) for value in curve] for name, curve in history.items()},
        "accuracy": float(confusion.trace() / confusion.sum()),
        "confusion": confusion.astype(int).tolist(),
    }


def describe(result: dict[str, Any]) -> list[str]:
    """Return the numbers as lines of text, the published ones beside ours."""
    published = result["published"]
    lines = ["run               rate     test accuracy   confusion (true bad, good)    published"]
    for name, title in (("default", "Adam's default"), ("chosen", "chosen rate")):
        at = DEFAULT_RATE if name == "default" else result["learning_rate"]
        run = result[name]
        said = f"{published['accuracy'][name]:g}"
        if name == "chosen":
            said += f" at {published['learning_rate']:g}, {published['confusion']}"
        lines.append(
            f"{title:<17} {rate(at):<8} {run['accuracy']:<15.4f} {run['confusion']!s:<29} {said}"
        )
    lines.append(
        f"one run of each, at the last of {result['settings']['epochs']} epochs; the rate is the "
        "one at the lowest loss of the growing rate with calm neighbours"
    )
    comparison = Comparison.from_dict(result["comparison"])
    known = {name: getattr(comparison, name) for name in ("optimistic", "accuracy_gain")}
    decided = decide({"comparison": comparison.to_dict() | known})
    return [*lines, f"{decided['headline']}. {decided['sentence']}"]


def draw_plots(result: dict[str, Any]) -> dict[str, Figure]:
    """Return the article's three plots by their file names."""
    ramp, rates, picked = result["ramp"], result["ramp"]["learning_rates"], result["learning_rate"]
    growing = {name: ramp["curves"][name] for name in ("loss", "accuracy")}
    final = {f"training {name}": result["chosen"]["curves"][name] for name in growing}
    losses = {"training loss": growing["loss"]}
    growing["learning rate"] = rates
    title = "Loss against learning rate"
    return {
        "1-growing-rate.png": plain_lines(growing, "A rate that grows from epoch to epoch"),
        "2-loss-by-rate.png": plain_lines(losses, title, rates, picked),
        "3-final-model.png": plain_lines(final, f"The final model, at rate {picked:.3g}"),
    }
