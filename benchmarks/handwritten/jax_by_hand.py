"""The recipe lenet-sgd as a JAX expert writes it by hand; nothing of the suite is in it.

``python jax_by_hand.py --data DIR`` times windows, a warm-up first: 20 steps after 2 untimed
ones. With ``--windows 0`` standard input says which: epoch, first example of its order, untimed,
timed steps. With ``--input loader`` or ``pipeline`` all but the warm-up take the next batches of
its own loader.
"""

import argparse
import os
import sys
from functools import partial
from itertools import islice
from time import perf_counter, process_time

parser = argparse.ArgumentParser()
options = dict(data=".", weights="", batch=256, threads=2, seed=0, windows=10)
for name, value in dict(options, input="resident", workers=0).items():
    parser.add_argument(f"--{name}", type=type(value), default=value)
args = parser.parse_args()
os.environ["PJRT_NPROC"] = str(args.threads)  # read when a device is first asked for
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, nn

images, labels = (np.load(f"{args.data}/train-{what}.npy") for what in ("images", "labels"))
shapes = [(5, 5, 1, 6), (6,), (5, 5, 6, 16), (16,), (256, 120), (120,), (120, 84), (84,), (84, 10)]
xavier, zero = nn.initializers.xavier_uniform(), nn.initializers.zeros
weights = [
    (xavier if len(shape) > 1 else zero)(jax.random.key(args.seed + n), shape)
    for n, shape in enumerate([*shapes, (10,)])
]
if args.weights:  # (out, in, height, width), and (out, in) where in counts all of height and width
    for n, w in enumerate(np.load(args.weights).values()):
        w = w.reshape(120, 16, 4, 4) if w.shape == (120, 256) else w
        w = w.transpose(2, 3, 1, 0) if w.ndim == 4 else w.T
        weights[n] = jnp.asarray(w.reshape(weights[n].shape))


def convolved(x, kernel, bias):  # then sigmoid and max-pooling
    layout = ("NHWC", "HWIO", "NHWC")
    x = lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=layout)
    n, h, w, c = x.shape  # the gradient of reduce_window is slow on a CPU
    return nn.sigmoid(x + bias).reshape(n, h // 2, 2, w // 2, 2, c).max((2, 4))


def loss_of(weights, x, y):
    conv1, bias1, conv2, bias2, *dense = weights
    x = convolved(convolved(x, conv1, bias1), conv2, bias2)
    x = x.reshape(len(x), -1)
    for kernel, bias in zip(dense[:-2:2], dense[1:-2:2]):
        x = nn.sigmoid(x @ kernel + bias)
    logits = x @ dense[-2] + dense[-1]
    losses = nn.logsumexp(logits, axis=1) - jnp.take_along_axis(logits, y[:, None], axis=1)[:, 0]
    return losses.mean(), jnp.stack([losses.sum(), (logits.argmax(1) == y).sum().astype(x.dtype)])


@partial(jax.jit, donate_argnums=0)
def train_step(state, x, y, rate):  # the sums are of losses and hits
    weights, sums = state
    gradients, added = jax.grad(loss_of, has_aux=True)(weights, x, y)
    return [w - rate * g for w, g in zip(weights, gradients)], sums + added


def scaled(pixels):
    return np.divide(pixels, np.float32(255), dtype=np.float32)[..., np.newaxis]


def loaded():  # batches of the whole set, epoch after epoch without end
    if args.input == "loader":  # one image at a time, as tutorials do
        import grain

        rows = grain.MapDataset.range(len(labels)).shuffle(seed=args.seed)
        dataset = rows.map(lambda row: (scaled(images[row]), labels[row].astype(np.int32)))
        dataset = dataset.batch(args.batch, drop_remainder=False).repeat()
        ahead = grain.ReadOptions(num_threads=args.workers, prefetch_buffer_size=4 * args.workers)
        yield from dataset.to_iter_dataset(ahead)
    random, answers = np.random.default_rng(args.seed), labels.astype(np.int32)
    while True:
        order = random.permutation(len(labels))
        for rows in np.split(order, range(args.batch, len(order), args.batch)):
            yield scaled(images[rows]), answers[rows]


batches, rate = loaded(), np.float32(0)
if args.input != "resident" and len(labels) % args.batch:  # compiled before any clock starts
    last = np.zeros((len(labels) % args.batch, 28, 28, 1), np.float32)
    weights, _ = train_step((weights, jnp.zeros(2)), last, np.zeros(len(last), np.int32), rate)
for number, line in enumerate([f"{n} 0 2 20" for n in range(args.windows)] or sys.stdin):
    epoch, first, lead_in, steps = map(int, line.split())
    order = np.random.RandomState([args.seed, epoch]).permutation(len(labels))
    rows = order[first:][: (lead_in + steps) * args.batch].reshape(-1, args.batch)
    resident = jax.device_put([(scaled(images[r]), labels[r].astype(np.int32)) for r in rows])
    state = jax.block_until_ready((weights, jnp.zeros(2)))
    source = batches if number and args.input != "resident" else iter(resident)
    for part in (lead_in, steps):
        count, began = 0, (perf_counter(), process_time())
        for x, y in islice(source, part):
            state = train_step(state, x, y, rate)
            count += len(y)
        jax.block_until_ready(state)
        spent = perf_counter() - began[0], process_time() - began[1]
    weights, sums = state
    print(*spent, *np.asarray(sums), f"{count / spent[0]:.0f} examples/s", flush=True)
    rate = np.float32(0.9)  # 0 in the warm-up, which so leaves no trace
