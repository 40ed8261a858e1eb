"""The recipe lenet-sgd as an expert of Keras on PyTorch writes it; nothing of the suite is in it.

``python keras_torch_by_hand.py --data DIR`` times windows, a warm-up first: 20 steps after 2
untimed ones. With ``--windows 0`` standard input says which: epoch, first example of its order,
untimed, timed steps. With ``--input loader`` or ``pipeline`` all but the warm-up take the next
batches of its own loader.
"""

import argparse
import os
import sys
from itertools import islice
from time import perf_counter, process_time

os.environ["KERAS_BACKEND"] = "torch"
import keras
import numpy as np
import torch
from keras.layers import Conv2D, Dense, Flatten, MaxPooling2D
from torch.nn.functional import cross_entropy

parser = argparse.ArgumentParser()
options = dict(data=".", weights="", batch=256, threads=2, seed=0, windows=10)
for name, value in dict(options, input="resident", workers=0).items():
    parser.add_argument(f"--{name}", type=type(value), default=value)
args = parser.parse_args()
torch.set_num_threads(args.threads)
keras.utils.set_random_seed(args.seed)
images, labels = (np.load(f"{args.data}/train-{what}.npy") for what in ("images", "labels"))
layers = [keras.Input((28, 28, 1)), Conv2D(6, 5, activation="sigmoid"), MaxPooling2D()]
layers += [Conv2D(16, 5, activation="sigmoid"), MaxPooling2D(), Flatten()]
layers += [Dense(120, activation="sigmoid"), Dense(84, activation="sigmoid"), Dense(10)]
model = keras.Sequential(layers)
if args.weights:  # (out, in, height, width), and (out, in) where in counts all of height and width
    for variable, w in zip(model.variables, np.load(args.weights).values(), strict=True):
        w = w.reshape(120, 16, 4, 4) if w.shape == (120, 256) else w
        variable.assign((w.transpose(2, 3, 1, 0) if w.ndim == 4 else w.T).reshape(variable.shape))


def loaded():  # batches of the whole set, epoch after epoch without end
    generator = torch.Generator().manual_seed(args.seed)
    if args.input == "loader":  # one image at a time, as tutorials do
        from PIL import Image
        from torchvision.transforms import ToTensor

        class FashionMnist(torch.utils.data.Dataset):
            def __len__(self):
                return len(labels)

            def __getitem__(self, row):
                return ToTensor()(Image.fromarray(images[row])).movedim(0, 2), int(labels[row])

        how = dict(batch_size=args.batch, num_workers=args.workers, generator=generator)
        loader = torch.utils.data.DataLoader(FashionMnist(), shuffle=True, **how)
        while True:
            yield from loader
    pixels, answers = torch.tensor(images[..., np.newaxis]), torch.tensor(labels.astype(np.int64))
    while True:
        for rows in torch.randperm(len(labels), generator=generator).split(args.batch):
            yield pixels[rows].to(torch.float32).div_(255), answers[rows]


batches = loaded()
optimizer = keras.optimizers.SGD(0.0)
optimizer.build(model.trainable_variables)
variables = model.trainable_variables
for number, line in enumerate([f"{n} 0 2 20" for n in range(args.windows)] or sys.stdin):
    epoch, first, lead_in, steps = map(int, line.split())
    order = np.random.RandomState([args.seed, epoch]).permutation(len(labels))
    rows = order[first:][: (lead_in + steps) * args.batch].reshape(-1, args.batch)
    x = torch.from_numpy(images[rows].astype(np.float32)[..., np.newaxis] / 255).unbind()
    y = torch.from_numpy(labels[rows].astype(np.int64)).unbind()
    loss_sum, correct = torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.int64)
    source = batches if number and args.input != "resident" else zip(x, y, strict=True)
    for part in (lead_in, steps):
        count, began = 0, (perf_counter(), process_time())
        for image, label in islice(source, part):
            model.zero_grad()
            logits = model(image, training=True)
            loss = cross_entropy(logits, label)
            loss.backward()
            with torch.no_grad():
                optimizer.apply([variable.value.grad for variable in variables], variables)
            loss_sum.add_(loss.detach(), alpha=len(label))
            correct.add_((logits.detach().argmax(1) == label).sum())
            count += len(label)
        spent = perf_counter() - began[0], process_time() - began[1]  # nothing is left to wait for
    sums = loss_sum.item(), correct.item()
    print(*spent, *sums, f"{count / spent[0]:.0f} examples/s", flush=True)
    optimizer.learning_rate = 0.9  # 0 in the warm-up, which so leaves no trace
