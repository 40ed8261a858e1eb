"""The recipe lenet-sgd as an expert of Keras on JAX writes it; nothing of the suite is in it.

``python keras_jax_by_hand.py --data DIR`` times windows, a warm-up first: 20 steps after 2 untimed
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
os.environ["KERAS_BACKEND"] = "jax"
os.environ["PJRT_NPROC"] = str(args.threads)  # read when a device is first asked for
import jax
import jax.numpy as jnp
import keras
import numpy as np
from keras.layers import Conv2D, Dense, Flatten, MaxPooling2D

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
optimizer = keras.optimizers.SGD(0.0)
optimizer.build(model.trainable_variables)
others = [variable.value for variable in model.non_trainable_variables]


def loss_of(weights, x, y):
    logits, _ = model.stateless_call(weights, others, x, training=True)
    losses = jax.nn.logsumexp(logits, axis=1) - jnp.take_along_axis(logits, y[:, None], 1)[:, 0]
    return losses.mean(), jnp.stack([losses.sum(), (logits.argmax(1) == y).sum().astype(x.dtype)])


@partial(jax.jit, donate_argnums=0)
def train_step(state, x, y):  # the sums are of losses and hits
    weights, variables, sums = state
    gradients, added = jax.grad(loss_of, has_aux=True)(weights, x, y)
    weights, variables = optimizer.stateless_apply(variables, gradients, weights)
    return weights, variables, sums + added


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


batches = loaded()
weights = [jnp.copy(variable.value) for variable in model.trainable_variables]
variables = [jnp.copy(variable.value) for variable in optimizer.variables]
if args.input != "resident" and len(labels) % args.batch:  # compiled before any clock starts
    last = np.zeros((len(labels) % args.batch, 28, 28, 1), np.float32)
    state = (weights, variables, jnp.zeros(2))
    weights, variables, _ = train_step(state, last, np.zeros(len(last), np.int32))
for number, line in enumerate([f"{n} 0 2 20" for n in range(args.windows)] or sys.stdin):
    epoch, first, lead_in, steps = map(int, line.split())
    order = np.random.RandomState([args.seed, epoch]).permutation(len(labels))
    rows = order[first:][: (lead_in + steps) * args.batch].reshape(-1, args.batch)
    resident = jax.device_put([(scaled(images[r]), labels[r].astype(np.int32)) for r in rows])
    state = jax.block_until_ready((weights, variables, jnp.zeros(2)))
    source = batches if number and args.input != "resident" else iter(resident)
    for part in (lead_in, steps):
        count, began = 0, (perf_counter(), process_time())
        for x, y in islice(source, part):
            state = train_step(state, x, y)
            count += len(y)
        jax.block_until_ready(state)
        spent = perf_counter() - began[0], process_time() - began[1]
    weights, variables, sums = state
    print(*spent, *np.asarray(sums), f"{count / spent[0]:.0f} examples/s", flush=True)
    # 0 in the warm-up, which so leaves no trace.
    rate = [variable is optimizer._learning_rate for variable in optimizer.variables].index(True)
    variables[rate] = jnp.full_like(variables[rate], 0.9)
