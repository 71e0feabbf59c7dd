"""Race for the learning rate of a PyTorch model: the race asks, this loop trains and tells.

Usage: python examples/pytorch_race.py [EPOCHS]
"""

import itertools
import sys

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset

from tuners import LearningRateRace

EPOCHS = int(sys.argv[1]) if len(sys.argv) > 1 else 10
DEFAULT = 1e-2  # the rate that would be used without a race

x, y = load_digits(return_X_y=True)
inputs, targets = torch.tensor(x / 16.0, dtype=torch.float32), torch.tensor(y)
loss_fn = torch.nn.CrossEntropyLoss()


def build_model():
    return torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))


def train(rate, split, share=1.0):
    """Return the validation loss after each epoch; equal splits have equal rows and weights."""
    rows, held = train_test_split(range(len(y)), test_size=0.2, random_state=split)
    torch.manual_seed(split)
    model = build_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    loader = DataLoader(TensorDataset(inputs[rows], targets[rows]), batch_size=32, shuffle=True)
    losses = []
    for _ in range(max(1, round(share * EPOCHS))):
        for batch, labels in loader:
            optimizer.zero_grad()
            loss_fn(model(batch), labels).backward()
            optimizer.step()
        with torch.no_grad():
            losses.append(loss_fn(model(inputs[held]), targets[held]).item())
    return losses


race = LearningRateRace((1e-5, 1.0), budget=12, baseline=DEFAULT, epochs=EPOCHS)
for number in itertools.count(1):
    asked = race.ask()
    if not asked:
        break
    race.tell([train(rate, split, share) for rate, split, share in asked])
    print(f"round {number}: {len(asked)} trainings, {race.cost:.1f} so far, try {race.choice:.4g}")
print(f"learning rate {race.choice:.4g}, {race.cost:.1f} trainings")

fresh = range(1000, 1004)  # splits that chose nothing
for name, rate in (("chosen", race.choice), ("default", DEFAULT)):
    print(f"{name} loss {sum(min(train(rate, split)) for split in fresh) / len(fresh):.4f}")
