"""Ask which optimizer is better on one task: both at their defaults, one tuned, both tuned.

Usage: python examples/which_optimizer.py [EPOCHS [PAIRS [BUDGET]]]
"""

import sys

import keras
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from search_spaces import TuningTask
from tuners import choose, compare, range_test, search

EPOCHS = int(sys.argv[1]) if len(sys.argv) > 1 else 20
PAIRS = int(sys.argv[2]) if len(sys.argv) > 2 else 30
BUDGET = float(sys.argv[3]) if len(sys.argv) > 3 else 12
BATCH_SIZE = 32

x, y = load_digits(return_X_y=True)
x_rest, x_test, y_rest, y_test = train_test_split(x / 16, y, test_size=500, random_state=0)


def make_task(name, make_optimizer):
    def build_model():
        layers = [keras.layers.Dense(32, "relu"), keras.layers.Dense(10, "softmax")]
        model = keras.Sequential([keras.Input((64,)), *layers])
        loss = "sparse_categorical_crossentropy"
        model.compile(make_optimizer(), loss, metrics=["accuracy"])
        return model

    train, validation = (x_rest[:1000], y_rest[:1000]), (x_rest[1000:], y_rest[1000:])
    return TuningTask(
        name,
        build_model,
        train,
        validation,
        (x_test, y_test),
        batch_size=BATCH_SIZE,
        resplit="shuffle",  # each pair draws training and validation rows anew
    )


def cosine():
    """Return Adam with a rate that falls to 0 at the last step."""
    steps = EPOCHS * -(-1000 // BATCH_SIZE)
    return keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, steps))


def tune(task):
    """Return the rate that a search names; of a schedule it is the highest rate."""
    bounds = range_test(task, epochs=EPOCHS, verbose=0)
    return choose(search(task, bounds, epochs=EPOCHS, budget=BUDGET, verbose=0)).learning_rate


adam = make_task("digits", keras.optimizers.Adam)
free = make_task("digits", keras.optimizers.ScheduleFreeAdamW)
falling = make_task("digits", cosine)
rates = {task: tune(task) for task in (adam, free, falling)}

questions = {
    "Adam or schedule-free AdamW, as they come?": (adam, None, free, None),
    "Adam tuned, schedule-free AdamW as it comes?": (adam, rates[adam], free, None),
    "Both tuned?": (adam, rates[adam], free, rates[free]),
    "A cosine schedule or a constant rate, both tuned?": (
        falling,
        rates[falling],
        adam,
        rates[adam],
    ),
}
for question, (one, rate, other, other_rate) in questions.items():
    print(question)
    compare((one, other), (rate, other_rate), epochs=EPOCHS, pairs=PAIRS)
