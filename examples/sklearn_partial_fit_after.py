"""Pick the learning rate of scikit-learn's MLPClassifier by short trainings with partial_fit.

Usage: python examples/sklearn_partial_fit_after.py [RATES [SEEDS]]
"""

import sys

import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from tuners import LossCurve

RATES = int(sys.argv[1]) if len(sys.argv) > 1 else 25
SEEDS = int(sys.argv[2]) if len(sys.argv) > 2 else 3

x, y = load_digits(return_X_y=True)
x_train, x_valid, y_train, y_valid = train_test_split(x / 16.0, y, test_size=0.2, random_state=0)


def short_training(learning_rate, seed, passes=3):
    model = MLPClassifier((32,), learning_rate_init=learning_rate, random_state=seed)
    for _ in range(passes):
        model.partial_fit(x_train, y_train, classes=np.unique(y))
    return log_loss(y_valid, model.predict_proba(x_valid), labels=model.classes_)


rates = np.geomspace(1e-5, 1.0, RATES)
losses = np.array([[short_training(rate, seed) for seed in range(SEEDS)] for rate in rates])
learning_rate = LossCurve(rates, losses, kind="sweep").suggest()
print(f"learning rate {learning_rate:.4g}")

model = MLPClassifier((32,), learning_rate_init=learning_rate, random_state=0)
for _ in range(20):
    model.partial_fit(x_train, y_train, classes=np.unique(y))
print(f"validation accuracy {model.score(x_valid, y_valid):.3f}")
