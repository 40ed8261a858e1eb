"""The recipe lenet-sgd as a PyTorch expert writes it by hand; nothing of the suite is in it.

``python pytorch.py --data DIR`` times windows, a warm-up first: 20 steps after 2 untimed ones. With
``--windows 0`` standard input says which: epoch, first example of its order, untimed, timed steps.
"""

import argparse
import sys
from time import perf_counter, process_time

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

parser = argparse.ArgumentParser()
for name, value in dict(data=".", weights="", batch=256, threads=2, seed=0, windows=10).items():
    parser.add_argument(f"--{name}", type=type(value), default=value)
args = parser.parse_args()
torch.set_num_threads(args.threads)
images, labels = (np.load(f"{args.data}/train-{what}.npy") for what in ("images", "labels"))
model = nn.Sequential(
    *(nn.Conv2d(1, 6, 5), nn.Sigmoid(), nn.MaxPool2d(2)),
    *(nn.Conv2d(6, 16, 5), nn.Sigmoid(), nn.MaxPool2d(2), nn.Flatten()),
    *(nn.Linear(256, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid(), nn.Linear(84, 10)),
).to(memory_format=torch.channels_last)  # in the default layout a CPU's max-pooling is slow
if args.weights:
    for parameter, array in zip(model.parameters(), np.load(args.weights).values(), strict=True):
        parameter.data.copy_(torch.from_numpy(array))
optimizer = torch.optim.SGD(model.parameters(), lr=0.0, fused=True)
for line in [f"{number} 0 2 20" for number in range(args.windows)] or sys.stdin:
    epoch, first, lead_in, steps = map(int, line.split())
    order = np.random.RandomState([args.seed, epoch]).permutation(len(labels))
    rows = order[first:][: (lead_in + steps) * args.batch].reshape(-1, args.batch)
    x = torch.from_numpy(images[rows].astype(np.float32)[:, :, np.newaxis] / 255).unbind()
    y = torch.from_numpy(labels[rows].astype(np.int64)).unbind()
    loss_sum, correct = torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.int64)
    for part in (slice(lead_in), slice(lead_in, None)):
        began = perf_counter(), process_time()
        for image, label in zip(x[part], y[part], strict=True):
            optimizer.zero_grad()
            logits = model(image)
            loss = cross_entropy(logits, label)
            loss.backward()
            optimizer.step()
            loss_sum.add_(loss.detach(), alpha=args.batch)
            correct.add_((logits.detach().argmax(1) == label).sum())
        spent = perf_counter() - began[0], process_time() - began[1]  # nothing is left to wait for
    sums = loss_sum.item(), correct.item()
    print(*spent, *sums, f"{steps * args.batch / spent[0]:.0f} examples/s", flush=True)
    optimizer.param_groups[0]["lr"] = 0.9  # 0 in the warm-up, which so leaves no trace
