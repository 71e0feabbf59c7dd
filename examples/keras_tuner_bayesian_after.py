"""Tune a small classifier of handwritten digits with BayesianOptimization and a HyperModel."""

from __future__ import annotations

import keras
import keras_tuner
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from tuners import narrow, range_test


class DigitsModel(keras_tuner.HyperModel):
    """One hidden layer of some width, trained with Adam at some rate."""

    def build(self, hp):
        model = keras.Sequential()
        model.add(keras.Input((64,)))
        model.add(keras.layers.Dense(hp.Int("units", 16, 64, step=16), activation="relu"))
        model.add(keras.layers.Dense(10, activation="softmax"))
        learning_rate = hp.Float("lr", min_value=1e-5, max_value=1.0, sampling="log")
        model.compile(
            optimizer=keras.optimizers.Adam(learning_rate=learning_rate),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
        return model


def main(max_trials=10, epochs=10, directory="runs/keras_tuner_bayesian"):
    x, y = load_digits(return_X_y=True)
    x_train, x_val, y_train, y_val = train_test_split(x / 16.0, y, test_size=0.2, random_state=0)
    tuner = keras_tuner.BayesianOptimization(
        DigitsModel(),
        objective="val_loss",
        max_trials=max_trials,
        directory=directory,
        overwrite=True,
        seed=1,
    )
    curve = range_test(tuner, x_train, y_train, epochs=epochs, batch_size=32)
    narrow(tuner, curve, name="lr")
    tuner.search(x_train, y_train, epochs=epochs, validation_data=(x_val, y_val), verbose=0)
    tuner.results_summary(num_trials=3)
    return tuner


if __name__ == "__main__":
    main()
