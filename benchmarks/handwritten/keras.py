"""The recipe lenet-sgd as a Keras expert writes it by hand; nothing of the suite is in it.

``python keras.py --data DIR`` times windows, a warm-up first: 20 steps after 2 untimed ones. With
``--windows 0`` standard input says which: epoch, first example of its order, untimed, timed steps.
"""

import argparse
import sys
from time import perf_counter, process_time

sys.path.pop(0)  # this folder, whose keras.py is not the package
import keras
import numpy as np
import tensorflow as tf
from keras.layers import Conv2D, Dense, Flatten, MaxPooling2D

parser = argparse.ArgumentParser()
for name, value in dict(data=".", weights="", batch=256, threads=2, seed=0, windows=10).items():
    parser.add_argument(f"--{name}", type=type(value), default=value)
args = parser.parse_args()
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


@tf.function(reduce_retracing=True, jit_compile=False)
def train(x, y, sums):  # all steps are one call; ``sums``: of losses and of hits
    for step in tf.range(tf.shape(x)[0]):
        with tf.GradientTape() as tape:
            logits = model(x[step], training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y[step], logits))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        hits = tf.math.count_nonzero(tf.argmax(logits, axis=1) == y[step], dtype=tf.float64)
        sums += tf.stack([tf.cast(loss, tf.float64) * args.batch, hits])
    return sums


images, labels = (np.load(f"{args.data}/train-{what}.npy") for what in ("images", "labels"))
for line in [f"{number} 0 2 20" for number in range(args.windows)] or sys.stdin:
    epoch, first, lead_in, steps = map(int, line.split())
    order = np.random.RandomState([args.seed, epoch]).permutation(len(labels))
    rows = order[first:][: (lead_in + steps) * args.batch].reshape(-1, args.batch)
    x = np.split(images[rows].astype(np.float32)[..., np.newaxis] / 255, [lead_in])
    y = np.split(labels[rows].astype(np.int64), [lead_in])
    sums = np.zeros(2)
    for part in [tuple(map(tf.constant, each)) for each in zip(x, y)]:
        began = perf_counter(), process_time()
        sums = train(*part, sums).numpy()  # which waits for the end of all steps
        spent = perf_counter() - began[0], process_time() - began[1]
    print(*spent, *sums, f"{steps * args.batch / spent[0]:.0f} examples/s", flush=True)
    optimizer.learning_rate = 0.9  # 0 in the warm-up, which so leaves no trace
