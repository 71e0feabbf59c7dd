"""Pick the learning rate of a PyTorch model with a hand-written range test, then train with it.

Usage: python examples/pytorch_loop_after.py [STEPS [EPOCHS]]
"""

import sys

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset

from tuners import LossCurve

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 200
EPOCHS = int(sys.argv[2]) if len(sys.argv) > 2 else 10

x, y = load_digits(return_X_y=True)
x_train, x_test, y_train, y_test = train_test_split(x / 16.0, y, test_size=0.2, random_state=0)
train_data = TensorDataset(torch.tensor(x_train, dtype=torch.float32), torch.tensor(y_train))
loader = DataLoader(train_data, batch_size=32, shuffle=True)
loss_fn = torch.nn.CrossEntropyLoss()


def build_model():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))


def batches():
    while True:
        yield from loader


def train_step(model, optimizer, inputs, targets):
    optimizer.zero_grad()
    loss = loss_fn(model(inputs), targets)
    loss.backward()
    optimizer.step()
    return loss.item()


# the range test: a higher rate for each batch
model = build_model()
optimizer = torch.optim.SGD(model.parameters(), lr=1e-6, momentum=0.9)
rates, losses = np.geomspace(1e-6, 10.0, STEPS), []
for rate, (inputs, targets) in zip(rates, batches(), strict=False):
    optimizer.param_groups[0]["lr"] = rate
    losses.append(train_step(model, optimizer, inputs, targets))
learning_rate = LossCurve(rates, losses).suggest()
print(f"learning rate {learning_rate:.4g}")

# the training
model = build_model()
optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=0.9)
for _ in range(EPOCHS):
    for inputs, targets in loader:
        train_step(model, optimizer, inputs, targets)

with torch.no_grad():
    predicted = model(torch.tensor(x_test, dtype=torch.float32)).argmax(dim=1)
print(f"test accuracy {(predicted.numpy() == y_test).mean():.3f}")
