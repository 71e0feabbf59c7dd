"""Train a small classifier of handwritten digits with a plain `model.fit`.

Usage: python examples/plain_fit_after.py [EPOCHS]
"""

import sys

import keras
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from tuners import LearningRateRangeTest

EPOCHS = int(sys.argv[1]) if len(sys.argv) > 1 else 20

x, y = load_digits(return_X_y=True)
x_train, x_valid, y_train, y_valid = train_test_split(x / 16.0, y, test_size=0.2, random_state=0)

keras.utils.set_random_seed(0)
model = keras.Sequential(
    [
        keras.Input((64,)),
        keras.layers.Dense(32, activation="relu"),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
model.compile(
    optimizer=keras.optimizers.SGD(momentum=0.9),
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy"],
)
model.fit(x_train, y_train, epochs=5, callbacks=[test := LearningRateRangeTest()], verbose=0)
model.optimizer.learning_rate = test.curve.suggest()
model.fit(
    x_train, y_train, validation_data=(x_valid, y_valid), batch_size=32, epochs=EPOCHS, verbose=0
)

loss, accuracy = model.evaluate(x_valid, y_valid, verbose=0)
print(f"learning rate {float(model.optimizer.learning_rate):.4g}")
print(f"validation loss {loss:.4f}, accuracy {accuracy:.3f}")
