"""The loop by hand for the implementation plain_numpy, whose models.py lies beside its copy."""

import argparse
import sys
from time import perf_counter, process_time

import numpy as np
from models import lenet

parser = argparse.ArgumentParser()
options = {"data": ".", "weights": "", "batch": 256, "threads": 2, "seed": 0, "windows": 10}
for name, value in options.items():
    parser.add_argument(f"--{name}", type=type(value), default=value)
args = parser.parse_args()
images, labels = (np.load(f"{args.data}/train-{what}.npy") for what in ("images", "labels"))
model, rate = lenet(), 0.0
given = np.load(args.weights)
for name in given.files:
    layer, _, role = name.rpartition(".")
    model[layer].parameters[role][...] = given[name]


def train(x, y):
    """The batch's loss sum and hits; the weights have moved."""
    for layer in model.values():
        x = layer.forward(x)
    logarithms = x - x.max(axis=1, keepdims=True)
    logarithms -= np.log(np.exp(logarithms).sum(axis=1, keepdims=True))
    examples = np.arange(len(y))
    gradient = np.exp(logarithms)
    gradient[examples, y] -= 1
    gradient /= len(y)
    for layer in reversed(model.values()):
        gradient = layer.backward(gradient)
        for role, values in layer.gradients.items():
            layer.parameters[role] -= rate * values
    loss_sum = -logarithms[examples, y].sum(dtype=np.float64)
    return np.array([loss_sum, np.count_nonzero(x.argmax(axis=1) == y)])


for line in [f"{number} 0 2 20" for number in range(args.windows)] or sys.stdin:
    epoch, first, lead_in, steps = map(int, line.split())
    order = np.random.RandomState([args.seed, epoch]).permutation(len(labels))
    rows = order[first:][: (lead_in + steps) * args.batch].reshape(-1, args.batch)
    x, y = images[rows].astype(np.float32)[:, :, np.newaxis] / 255, labels[rows].astype(np.int64)
    sums = np.zeros(2)
    for part in (slice(lead_in), slice(lead_in, None)):
        began = perf_counter(), process_time()
        for batch in zip(x[part], y[part], strict=True):
            sums += train(*batch)
        spent = perf_counter() - began[0], process_time() - began[1]
    print(*spent, *sums, flush=True)
    rate = np.float32(0.9)
