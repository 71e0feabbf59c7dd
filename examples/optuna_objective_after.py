"""Search the rate and width of a small Keras model with Optuna, as its guides do.

Usage: python examples/optuna_objective_after.py [TRIALS [EPOCHS]]
"""

import sys

import keras
import optuna
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from tuners import narrow, range_test

N_TRIALS = int(sys.argv[1]) if len(sys.argv) > 1 else 20
EPOCHS = int(sys.argv[2]) if len(sys.argv) > 2 else 10

x, y = load_breast_cancer(return_X_y=True)
x_train, x_valid, y_train, y_valid = train_test_split(x, y, test_size=0.25, random_state=0)
scaler = StandardScaler().fit(x_train)
x_train, x_valid = scaler.transform(x_train), scaler.transform(x_valid)


def build_model(learning_rate=1e-3, units=32):
    model = keras.Sequential(
        [
            keras.Input((x_train.shape[1],)),
            keras.layers.Dense(units, activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(keras.optimizers.Adam(learning_rate), loss="binary_crossentropy")
    return model


def objective(trial):
    learning_rate = trial.suggest_float("learning_rate", 1e-5, 1.0, log=True)
    units = trial.suggest_int("units", 8, 64)
    model = build_model(learning_rate, units)
    history = model.fit(
        x_train,
        y_train,
        validation_data=(x_valid, y_valid),
        batch_size=32,
        epochs=EPOCHS,
        verbose=0,
    )
    return min(history.history["val_loss"])


study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
narrow(study, range_test(build_model, x_train, y_train, epochs=EPOCHS, batch_size=32))
study.optimize(objective, n_trials=N_TRIALS)

print(f"best loss {study.best_value:.4f} with {study.best_params}")
print(f"rates tried: {[round(trial.params['learning_rate'], 6) for trial in study.trials]}")
