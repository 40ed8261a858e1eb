"""The recipe lenet-sgd as a PyTorch expert writes it by hand; nothing of the suite is in it.

``python pytorch_by_hand.py --data DIR`` times windows, a warm-up first: 20 steps after 2 untimed
ones. With ``--windows 0`` standard input says which: epoch, first example of its order, untimed,
timed steps. With ``--input loader`` or ``pipeline`` all but the warm-up take the next batches of
its own loader.
"""

import argparse
import sys
from itertools import islice
from time import perf_counter, process_time

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

parser = argparse.ArgumentParser()
options = dict(data=".", weights="", batch=256, threads=2, seed=0, windows=10)
for name, value in dict(options, input="resident", workers=0).items():
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


def loaded():  # batches of the whole set, epoch after epoch without end
    generator = torch.Generator().manual_seed(args.seed)
    if args.input == "loader":  # one image at a time, as tutorials do
        from PIL import Image
        from torchvision.transforms import ToTensor

        class FashionMnist(torch.utils.data.Dataset):
            def __len__(self):
                return len(labels)

            def __getitem__(self, row):
                return ToTensor()(Image.fromarray(images[row])), int(labels[row])

        how = dict(batch_size=args.batch, num_workers=args.workers, generator=generator)
        loader = torch.utils.data.DataLoader(FashionMnist(), shuffle=True, **how)
        while True:
            yield from loader
    pixels, answers = torch.tensor(images[:, np.newaxis]), torch.tensor(labels.astype(np.int64))
    while True:
        for rows in torch.randperm(len(labels), generator=generator).split(args.batch):
            yield pixels[rows].to(torch.float32).div_(255), answers[rows]


batches = loaded()
optimizer = torch.optim.SGD(model.parameters(), lr=0.0, fused=True)
for number, line in enumerate([f"{n} 0 2 20" for n in range(args.windows)] or sys.stdin):
    epoch, first, lead_in, steps = map(int, line.split())
    order = np.random.RandomState([args.seed, epoch]).permutation(len(labels))
    rows = order[first:][: (lead_in + steps) * args.batch].reshape(-1, args.batch)
    x = torch.from_numpy(images[rows].astype(np.float32)[:, :, np.newaxis] / 255).unbind()
    y = torch.from_numpy(labels[rows].astype(np.int64)).unbind()
    loss_sum, correct = torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.int64)
    source = batches if number and args.input != "resident" else zip(x, y, strict=True)
    for part in (lead_in, steps):
        count, began = 0, (perf_counter(), process_time())
        for image, label in islice(source, part):
            optimizer.zero_grad()
            logits = model(image)
            loss = cross_entropy(logits, label)
            loss.backward()
            optimizer.step()
            loss_sum.add_(loss.detach(), alpha=len(label))
            correct.add_((logits.detach().argmax(1) == label).sum())
            count += len(label)
        spent = perf_counter() - began[0], process_time() - began[1]  # nothing is left to wait for
    sums = loss_sum.item(), correct.item()
    print(*spent, *sums, f"{count / spent[0]:.0f} examples/s", flush=True)
    optimizer.param_groups[0]["lr"] = 0.9  # 0 in the warm-up, which so leaves no trace
