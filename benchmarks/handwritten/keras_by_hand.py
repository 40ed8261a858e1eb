"""The recipe lenet-sgd as a Keras expert writes it by hand; nothing of the suite is in it.

``python keras_by_hand.py --data DIR`` times windows, a warm-up first: 20 steps after 2 untimed
ones. With ``--windows 0`` standard input says which: epoch, first example of its order, untimed,
timed steps. With ``--input loader`` or ``pipeline`` all but the warm-up take the next batches of
its own loader.
"""

import argparse
import sys
from time import perf_counter, process_time

import keras
import numpy as np
import tensorflow as tf
from keras.layers import Conv2D, Dense, Flatten, MaxPooling2D

parser = argparse.ArgumentParser()
options = dict(data=".", weights="", batch=256, threads=2, seed=0, windows=10)
for name, value in dict(options, input="resident", workers=0).items():
    parser.add_argument(f"--{name}", type=type(value), default=value)
args = parser.parse_args()
keras.utils.set_random_seed(args.seed)
tf.config.threading.set_intra_op_parallelism_threads(args.threads)
tf.config.threading.set_inter_op_parallelism_threads(args.threads)
layers = [keras.Input((28, 28, 1)), Conv2D(6, 5, activation="sigmoid"), MaxPooling2D()]
layers += [Conv2D(16, 5, activation="sigmoid"), MaxPooling2D(), Flatten()]
layers += [Dense(120, activation="sigmoid"), Dense(84, activation="sigmoid"), Dense(10)]
model = keras.Sequential(layers)
if args.weights:  # (out, in, height, width), and (out, in) where in counts all of height and width
    for variable, w in zip(model.variables, np.load(args.weights).values(), strict=True):
        w = w.reshape(120, 16, 4, 4) if w.shape == (120, 256) else w
        variable.assign((w.transpose(2, 3, 1, 0) if w.ndim == 4 else w.T).reshape(variable.shape))
optimizer = keras.optimizers.SGD(0.0)


def train_step(x, y):  # the sum of losses, and of hits
    with tf.GradientTape() as tape:
        logits = model(x, training=True)
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits))
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    hits = tf.math.count_nonzero(tf.argmax(logits, axis=1) == y, dtype=tf.float64)
    return tf.stack([tf.cast(loss, tf.float64) * tf.cast(tf.shape(y)[0], tf.float64), hits])


@tf.function(reduce_retracing=True, jit_compile=False)
def train(x, y, sums):  # all steps are one call
    for step in tf.range(tf.shape(x)[0]):
        sums += train_step(x[step], y[step])
    return sums


@tf.function(jit_compile=False)
def train_loaded(batches, steps, sums, count):
    for _ in tf.range(steps):
        x, y = batches.get_next()
        sums, count = sums + train_step(x, y), count + tf.shape(y)[0]
    return sums, count


def scaled(image, label):  # one of them, or a batch
    return tf.cast(image, tf.float32)[..., tf.newaxis] / 255.0, tf.cast(label, tf.int64)


def loaded():  # batches of the whole set, epoch after epoch without end
    parallel = tf.data.AUTOTUNE if args.workers else None
    if args.input == "loader":  # one image at a time, as tutorials do
        dataset = tf.data.Dataset.from_tensor_slices((images, labels))
        dataset = dataset.shuffle(len(labels), args.seed).map(scaled, num_parallel_calls=parallel)
        dataset = dataset.batch(args.batch)
        dataset = (dataset.prefetch(tf.data.AUTOTUNE) if args.workers else dataset).repeat()
    else:
        x, y, whole = (
            tf.constant(images),
            tf.constant(labels),
            len(labels) // args.batch * args.batch,
        )

        def batches_of(epoch):
            seed = tf.stack([tf.constant(args.seed, tf.int64), epoch])
            order = tf.random.experimental.stateless_shuffle(tf.range(len(labels)), seed)
            batches = tf.reshape(order[:whole], (-1, args.batch))
            batches = tf.data.Dataset.from_tensor_slices(batches)
            rest = tf.data.Dataset.from_tensors(order[whole:])
            return batches.concatenate(rest) if whole < len(labels) else batches

        dataset = (
            tf.data.Dataset.counter()
            .flat_map(batches_of)
            .map(
                lambda rows: scaled(tf.gather(x, rows), tf.gather(y, rows)),
                num_parallel_calls=parallel,
            )
        )
        dataset = dataset.prefetch(tf.data.AUTOTUNE) if args.workers else dataset
    options = tf.data.Options()
    if args.workers:
        options.threading.private_threadpool_size = args.workers
    else:  # it would add threads of its own
        options.autotune.enabled = False
        options.experimental_optimization.inject_prefetch = False
    return iter(dataset.with_options(options))


images, labels = (np.load(f"{args.data}/train-{what}.npy") for what in ("images", "labels"))
batches = loaded() if args.input != "resident" else None
for number, line in enumerate([f"{n} 0 2 20" for n in range(args.windows)] or sys.stdin):
    epoch, first, lead_in, steps = map(int, line.split())
    order = np.random.RandomState([args.seed, epoch]).permutation(len(labels))
    rows = order[first:][: (lead_in + steps) * args.batch].reshape(-1, args.batch)
    x = np.split(images[rows].astype(np.float32)[..., np.newaxis] / 255, [lead_in])
    y = np.split(labels[rows].astype(np.int64), [lead_in])
    sums = np.zeros(2)
    for part, timed in zip([tuple(map(tf.constant, each)) for each in zip(x, y)], (lead_in, steps)):
        count, began = timed * args.batch, (perf_counter(), process_time())
        if number and batches is not None:
            sums, count = (
                each.numpy() for each in train_loaded(batches, tf.constant(timed), sums, 0)
            )
        else:
            sums = train(*part, sums).numpy()  # which waits for the end of all steps
        spent = perf_counter() - began[0], process_time() - began[1]
    print(*spent, *sums, f"{count / spent[0]:.0f} examples/s", flush=True)
    optimizer.learning_rate = 0.9  # 0 in the warm-up, which so leaves no trace
