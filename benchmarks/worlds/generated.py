"""Generators: rows without end, so that a seed's 10,000 test rows are its own.

Functions, physics, sequences, images that are drawn, and the text that every Python has.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import numpy as np

from benchmarks.worlds.tables import draw_rows
from benchmarks.worlds.world import Arrays, Split, Target, World

Draw = Callable[[int, np.random.Generator], Arrays]  # so many rows
SIZES = (2_000, 1_000, 10_000)  # rows to train, to validate and to test on
SMALL = (400, 200, 10_000)


def fresh(draw: Draw, sizes: tuple[int, int, int], seed: int) -> Split:
    """Return three parts of fresh rows."""
    one, two, three = (
        draw(rows, np.random.default_rng([29, seed, part])) for part, rows in enumerate(sizes)
    )
    return one, two, three


def generated(
    name: str,
    draw: Draw,
    source: str,
    target: Target = "number",
    outputs: int = 1,
    sizes: tuple[int, int, int] = SIZES,
    data_set: str = "",
) -> World:
    """Return the world of a generator."""
    return World(name, target, outputs, partial(fresh, draw, sizes), source, data_set=data_set)


def by_sklearn(function: str, **settings: object) -> Draw:
    """Return what draws rows by a function `make_...` of scikit-learn."""

    def draw(rows: int, generator: np.random.Generator) -> Arrays:
        from sklearn import datasets

        state = int(generator.integers(2**31))
        x, y, *_ = getattr(datasets, f"make_{function}")(
            n_samples=rows, random_state=state, **settings
        )
        return x, y

    return draw


def teacher(rows: int, generator: np.random.Generator) -> Arrays:
    """A network of 20 inputs and 10 tanh units, with a tenth of noise in its output."""
    fixed = np.random.default_rng(1)
    first, last = fixed.standard_normal((20, 10)) / np.sqrt(20), fixed.standard_normal(10)
    x = generator.standard_normal((rows, 20))
    y = np.tanh(2 * x @ first) @ last
    return x, y + 0.3 * generator.standard_normal(rows)


def blobs(rows: int, generator: np.random.Generator) -> Arrays:
    """Five classes, each of three clouds in twelve dimensions, which overlap."""
    centres = 1.3 * np.random.default_rng(2).standard_normal((15, 12))
    cloud = generator.integers(15, size=rows)
    return centres[cloud] + generator.standard_normal((rows, 12)), cloud % 5


def parity(rows: int, generator: np.random.Generator) -> Arrays:
    """Whether an even number of three bits among ten is set; 5 % of labels are flipped."""
    x = generator.integers(2, size=(rows, 10))
    y = x[:, :3].sum(axis=1) % 2
    return x.astype(float), np.where(generator.random(rows) < 0.05, 1 - y, y)


def heavy_tails(rows: int, generator: np.random.Generator) -> Arrays:
    """A linear function of fifteen inputs with Student's t noise of 2 degrees of freedom."""
    x = generator.standard_normal((rows, 15))
    y = x @ np.random.default_rng(3).standard_normal(15)
    return x, y + 2 * generator.standard_t(2, rows)


def arrivals(rows: int, generator: np.random.Generator) -> Arrays:
    """Poisson counts, whose log mean is a smooth function of eight inputs."""
    x = generator.uniform(-1, 1, (rows, 8))
    log_mean = 1 + np.sin(3 * x[:, 0]) + x[:, 1] * x[:, 2] + 0.5 * x[:, 3]
    return x, generator.poisson(np.exp(log_mean)).astype(float)


def waves(rows: int, generator: np.random.Generator) -> Arrays:
    """A curve of one input with six hills of growing height, and noise."""
    x = generator.uniform(-1, 1, (rows, 1))
    y = (1 + x[:, 0]) * np.sin(18 * x[:, 0])
    return x, y + 0.2 * generator.standard_normal(rows)


def pendulum(rows: int, generator: np.random.Generator) -> Arrays:
    """Where a damped pendulum is two seconds later, measured with noise."""
    angle, speed = generator.uniform(-2.5, 2.5, rows), generator.uniform(-2, 2, rows)
    length, damping = generator.uniform(0.5, 2, rows), generator.uniform(0, 0.5, rows)
    x = np.column_stack([angle, speed, length, damping])
    for _ in range(200):  # semi-implicit steps of a hundredth of a second
        speed = speed + 0.01 * (-9.81 / length * np.sin(angle) - damping * speed)
        angle = angle + 0.01 * speed
    return x, np.sin(angle) + 0.1 * generator.standard_normal(rows)


def lorenz(rows: int, generator: np.random.Generator) -> Arrays:
    """The three coordinates of Lorenz's system, 0.4 time units later."""
    point = generator.uniform((-15, -20, 5), (15, 20, 40), (rows, 3))
    x = point.copy()
    for _ in range(80):
        a, b, c = point.T
        move = np.column_stack([10 * (b - a), a * (28 - c) - b, a * b - 8 / 3 * c])
        point = point + 0.005 * move
    return x, point + 0.5 * generator.standard_normal((rows, 3))


def oscillations(rows: int, generator: np.random.Generator) -> Arrays:
    """The frequency of a damped oscillation from 24 noisy points of it, (rows, 24, 1)."""
    frequency, phase = generator.uniform(0.5, 3, rows), generator.uniform(0, 2 * np.pi, rows)
    time, damping = np.linspace(0, 2, 24), generator.uniform(0, 1, rows)
    series = np.exp(-damping[:, None] * time) * np.sin(
        2 * np.pi * frequency[:, None] * time + phase[:, None]
    )
    return (series + 0.3 * generator.standard_normal(series.shape))[..., None], frequency


def additions(rows: int, generator: np.random.Generator) -> Arrays:
    """The sum of the two marked numbers among twelve, (rows, 12, 2)."""
    numbers = generator.uniform(-1, 1, (rows, 12))
    places = generator.random((rows, 12)).argsort(axis=1)
    marks = (places < 2).astype(float)
    return np.stack([numbers, marks], axis=-1), (numbers * marks).sum(axis=1)


@cache
def digit_signals() -> Arrays:
    """MNIST-1D (Greydanus and Kobak 2020): ten templates, stretched, moved and noisy."""
    from mnist1d.data import get_dataset_args, make_dataset

    settings = get_dataset_args()
    settings.num_samples, settings.train_split = 20_000, 1.0
    made = make_dataset(settings)
    return made["x"], made["y"]


def shapes(size: int, rows: int, generator: np.random.Generator) -> Arrays:
    """Discs, squares, crosses, rings and triangles of any place and size in noise."""
    down, right = np.mgrid[0:size, 0:size]
    middle = generator.uniform(0.3 * size, 0.7 * size, (rows, 2, 1, 1))
    radius = generator.uniform(0.15 * size, 0.3 * size, (rows, 1, 1))
    y, x = down - middle[:, 0], right - middle[:, 1]
    far, kind = np.hypot(x, y), generator.integers(5, size=rows)
    drawn = np.stack(
        [
            far < radius,
            np.maximum(abs(x), abs(y)) < 0.85 * radius,
            (np.minimum(abs(x), abs(y)) < 0.35 * radius) & (np.maximum(abs(x), abs(y)) < radius),
            (far < radius) & (far > 0.6 * radius),
            (y < 0.7 * radius) & (y > -radius) & (abs(x) < 0.55 * (y + radius)),
        ]
    )[kind, np.arange(rows)]
    light = generator.uniform(0.5, 1.5, (rows, 1, 1)) * drawn
    return (light + 0.7 * generator.standard_normal(light.shape))[..., None], kind


def strokes(rows: int, generator: np.random.Generator) -> Arrays:
    """How far an arc of three random points turns, from a picture of it, (rows, 12, 12, 1)."""
    points = generator.uniform(1, 11, (rows, 3, 2))
    time = np.linspace(0, 1, 24)[:, None]
    a, b, c = (points[:, [place]] for place in range(3))
    path = (1 - time) ** 2 * a + 2 * time * (1 - time) * b + time**2 * c
    picture = np.zeros((rows, 12, 12))
    row = np.repeat(np.arange(rows), 24)
    cell = path.reshape(-1, 2).astype(int)
    picture[row, cell[:, 0], cell[:, 1]] = 1.0
    one, two = points[:, 1] - points[:, 0], points[:, 2] - points[:, 1]
    cosine = (one * two).sum(axis=1) / np.maximum(
        np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1), 1e-6
    )
    noisy = picture + 0.2 * generator.standard_normal(picture.shape)
    return noisy[..., None], np.arccos(np.clip(cosine, -1, 1))


@cache
def _photos() -> list[np.ndarray]:
    from sklearn.datasets import load_sample_images

    return [image.mean(axis=2) / 255 for image in load_sample_images().images]


def photo_patches(rows: int, generator: np.random.Generator) -> Arrays:
    """Patches of 6 x 6 points of two photographs, with noise, and the patches without it."""
    which = generator.integers(2, size=rows)
    top, left = generator.integers(420, size=rows), generator.integers(630, size=rows)
    span = np.arange(6)
    clean = np.array(
        [
            _photos()[image][np.ix_(y + span, x + span)].ravel()
            for image, y, x in zip(which, top, left, strict=True)
        ]
    )
    return clean + 0.1 * generator.standard_normal(clean.shape), clean


LETTERS = "\n etaoinsrhldcumfpgwybvkxjqz`.,:;'\"()[]{}<>-_=+*/\\0123456789"
BLOCK = 2_000  # characters that go to one part together


@cache
def _text() -> np.ndarray:
    from pydoc_data.topics import topics

    place = {letter: number for number, letter in enumerate(LETTERS)}
    text = "\n".join(topics[name] for name in sorted(topics)).lower()
    return np.array([place.get(letter, 1) for letter in text])


def characters(context: int, sizes: tuple[int, int, int], seed: int) -> Split:
    """Return the next character after some others, of Python's own help; no part shares a block.

    Args:
        context: Characters that are seen.
        sizes: Rows of each part.
        seed: Which blocks go where.
    """
    generator, text = np.random.default_rng([31, seed]), _text()
    blocks = generator.permutation(len(text) // BLOCK)
    ends = (np.array([0.5, 0.65, 1.0]) * len(blocks)).astype(int)
    parts = []
    for own, rows in zip(np.split(blocks, ends[:2]), sizes, strict=True):
        start = generator.choice(own, rows) * BLOCK + generator.integers(BLOCK - context, size=rows)
        window = text[start[:, None] + np.arange(context + 1)]
        parts.append((window[:, :-1], window[:, -1]))
    one, two, three = parts
    return one, two, three


def text_world(name: str, context: int, sizes: tuple[int, int, int]) -> World:
    """Return the world of the next character."""
    return World(
        name,
        "classes",
        len(LETTERS),
        partial(characters, context, sizes),
        "pydoc_data.topics of the standard library",
        data_set="help text",
    )


GENERATED: tuple[World, ...] = (
    generated("friedman 1", by_sklearn("friedman1", noise=1.0), "scikit-learn's make_friedman1"),
    generated("friedman 2", by_sklearn("friedman2", noise=100.0), "scikit-learn's make_friedman2"),
    generated(
        "moons", by_sklearn("moons", noise=0.3), "scikit-learn's make_moons", "classes", 2, SMALL
    ),
    generated(
        "quantiles",
        by_sklearn("gaussian_quantiles", n_features=8, n_classes=3),
        "scikit-learn's make_gaussian_quantiles",
        "classes",
        3,
    ),
    generated(
        "roll", by_sklearn("swiss_roll", noise=0.5), "scikit-learn's make_swiss_roll", sizes=SMALL
    ),
    generated("teacher", teacher, "a network drawn here"),
    generated("blobs", blobs, "drawn here", "classes", 5),
    generated("parity", parity, "drawn here", "classes", 2),
    generated("heavy tails", heavy_tails, "drawn here"),
    generated("arrivals", arrivals, "drawn here", "count"),
    generated("waves", waves, "drawn here"),
    generated("pendulum", pendulum, "computed here"),
    generated("lorenz", lorenz, "computed here", outputs=3),
    generated("oscillations", oscillations, "computed here", sizes=(1_500, 500, 10_000)),
    generated("additions", additions, "drawn here", sizes=(2_000, 500, 10_000)),
    World(
        "digit signals",
        "classes",
        10,
        partial(draw_rows, digit_signals, (2_000, 1_000, 10_000)),
        "mnist1d",
    ),
    generated("shapes", partial(shapes, 10), "drawn here", "classes", 5, (1_200, 600, 3_000)),
    generated("strokes", strokes, "drawn here", sizes=(1_200, 600, 3_000)),
    generated("photo patches", photo_patches, "scikit-learn's sample images", outputs=36),
    text_world("characters", 12, (4_000, 1_500, 10_000)),
    text_world("help text", 24, (6_000, 1_500, 4_000)),
    generated(
        "large shapes",
        partial(shapes, 20),
        "drawn here",
        "classes",
        5,
        (4_000, 1_000, 2_000),
        "shapes",
    ),
)
