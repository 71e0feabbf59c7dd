"""Tune a small classifier of breast-cancer samples with Hyperband and a model-building function."""

from __future__ import annotations

import keras
import keras_tuner
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from tuners import narrow, range_test


def build_model(hp):
    model = keras.Sequential()
    model.add(keras.Input((30,)))
    model.add(keras.layers.Dense(hp.Choice("units", [8, 16, 32]), activation="relu"))
    model.add(keras.layers.Dense(1, activation="sigmoid"))
    with hp.name_scope("sgd"):
        learning_rate = hp.Choice(
            "learning_rate", [1.0, 0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4]
        )
    optimizer = keras.optimizers.SGD(learning_rate, momentum=0.9)
    model.compile(optimizer=optimizer, loss="binary_crossentropy", metrics=["accuracy"])
    return model


def main(max_epochs=9, directory="runs/keras_tuner_hyperband"):
    x, y = load_breast_cancer(return_X_y=True)
    x_train, x_val, y_train, y_val = train_test_split(x, y, test_size=0.2, random_state=0)
    scaler = StandardScaler().fit(x_train)
    x_train, x_val = scaler.transform(x_train), scaler.transform(x_val)
    tuner = keras_tuner.Hyperband(
        build_model,
        objective="val_loss",
        max_epochs=max_epochs,
        directory=directory,
        overwrite=True,
        seed=1,
    )
    curve = range_test(build_model, x_train, y_train, epochs=max_epochs, batch_size=32)
    narrow(tuner, curve)
    stop_early = keras.callbacks.EarlyStopping(monitor="val_loss", patience=3)
    tuner.search(
        x_train, y_train, validation_data=(x_val, y_val), callbacks=[stop_early], verbose=0
    )
    best = tuner.get_best_hyperparameters()[0]
    print("Best learning rate:", best["sgd/learning_rate"])
    return tuner


if __name__ == "__main__":
    main()
