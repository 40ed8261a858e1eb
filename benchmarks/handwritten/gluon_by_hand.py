"""The recipe lenet-sgd as an MXNet Gluon expert writes it by hand; nothing of the suite is in it.

``python gluon_by_hand.py --data DIR`` times windows, a warm-up first: 20 steps after 2 untimed
ones. With ``--windows 0`` standard input says which: epoch, first example of its order, untimed,
timed steps. With ``--input loader`` or ``pipeline`` all but the warm-up take the next batches of
its own loader.
"""

import argparse
import os
import sys
from itertools import islice
from time import perf_counter, process_time

import numpy as np

parser = argparse.ArgumentParser()
options = dict(data=".", weights="", batch=256, threads=2, seed=0, windows=10)
for name, value in dict(options, input="resident", workers=0).items():
    parser.add_argument(f"--{name}", type=type(value), default=value)
args = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = str(args.threads)  # read when MXNet is loaded
from mxnet import autograd, cpu, gluon, init, nd
from mxnet.gluon.data import ArrayDataset, DataLoader
from mxnet.gluon.data.vision.transforms import ToTensor
from mxnet.gluon.nn import Conv2D, Dense, HybridSequential, MaxPool2D


class Graph(gluon.HybridBlock):  # network, loss and hits, hybridized together
    def hybrid_forward(self, F, images, labels):
        logits = self.net(images)
        return F.sum(self.loss(logits, labels)), F.sum(F.argmax(logits, axis=1) == labels)


graph = Graph()
graph.net, graph.loss = HybridSequential(), gluon.loss.SoftmaxCrossEntropyLoss()
graph.net.add(Conv2D(6, 5, activation="sigmoid"), MaxPool2D())
graph.net.add(Conv2D(16, 5, activation="sigmoid"), MaxPool2D())
graph.net.add(Dense(120, activation="sigmoid"), Dense(84, activation="sigmoid"), Dense(10))
graph.initialize(init.Xavier())
if args.weights:
    for parameter, array in zip(graph.collect_params().values(), np.load(args.weights).values()):
        parameter.set_data(nd.from_numpy(array))
graph.hybridize(static_alloc=True, static_shape=True)
trainer = gluon.Trainer(graph.collect_params(), "sgd", {"learning_rate": 0.0}, kvstore=None)


def loaded():  # batches of the whole set, epoch after epoch without end
    if args.input == "loader":  # one image at a time, as tutorials do
        np.random.seed(args.seed)
        data = nd.array(images[..., np.newaxis], dtype="uint8"), labels.astype(np.int32)
        dataset = ArrayDataset(*data).transform_first(ToTensor())
        loader = DataLoader(dataset, args.batch, shuffle=True, num_workers=args.workers)
        while True:
            for image, label in loader:
                yield image.as_in_context(cpu()), label.as_in_context(cpu()).astype(np.float32)
    random, answers = np.random.RandomState(args.seed), labels.astype(np.float32)
    while True:
        order = random.permutation(len(labels))
        for rows in np.split(order, range(args.batch, len(order), args.batch)):
            pixels = np.divide(images[rows], np.float32(255), dtype=np.float32)
            yield nd.from_numpy(pixels[:, np.newaxis]), nd.from_numpy(answers[rows])


batches = loaded()
images, labels = (np.load(f"{args.data}/train-{what}.npy") for what in ("images", "labels"))
for number, line in enumerate([f"{n} 0 2 20" for n in range(args.windows)] or sys.stdin):
    epoch, first, lead_in, steps = map(int, line.split())
    order = np.random.RandomState([args.seed, epoch]).permutation(len(labels))
    rows = order[first:][: (lead_in + steps) * args.batch].reshape(-1, args.batch)
    x = [nd.from_numpy(images[row].astype(np.float32)[:, np.newaxis] / 255) for row in rows]
    y = [nd.from_numpy(labels[row].astype(np.float32)) for row in rows]
    outputs = [nd.zeros(2)]  # then of each step: summed loss, hits
    source = batches if number and args.input != "resident" else zip(x, y)
    for part in (lead_in, steps):
        count, began = 0, (perf_counter(), process_time())
        for image, label in islice(source, part):
            with autograd.record():
                outputs += graph(image, label)
            outputs[-2].backward()
            trainer.step(len(label))
            count += len(label)
        sums = nd.concat(*outputs, dim=0).astype("float64").reshape((-1, 2)).sum(axis=0)
        nd.waitall()
        spent = perf_counter() - began[0], process_time() - began[1]
    print(*spent, *sums.asnumpy(), f"{count / spent[0]:.0f} examples/s", flush=True)
    trainer.set_learning_rate(0.9)  # 0 in the warm-up, which so leaves no trace
