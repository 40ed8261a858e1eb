"""The models in plain NumPy, float32. Images are (N, C, H, W), the canonical layout.

Every layer has ``forward`` and ``backward``; the latter takes the gradient of the loss by the
layer's outputs, keeps that by its parameters, and returns that by its inputs.
"""

from __future__ import annotations

import numpy as np


class Layer:
    """A layer with ``parameters`` and, after ``backward``, their ``gradients``, both by name."""

    def __init__(self, **shapes):
        self.parameters = {role: np.zeros(shape, np.float32) for role, shape in shapes.items()}
        self.gradients = {}


class Conv(Layer):
    """Each window of an image is a column, so that all sums of products are one matrix product."""

    def __init__(self, inputs, outputs, size):
        super().__init__(weight=(outputs, inputs, size, size), bias=(outputs,))
        self.size = size

    def forward(self, images):
        """(N, C, H, W) in, (N, outputs, H', W') out."""
        self.shape = count, channels, height, width = images.shape
        self.out = height - self.size + 1, width - self.size + 1
        windows = np.empty((self.size, self.size, channels, count, *self.out), np.float32)
        for place, part in self._parts(images):
            windows[place] = part.swapaxes(0, 1)
        self.columns = windows.reshape(self.size**2 * channels, -1)
        outputs = self._kernels() @ self.columns + self.parameters["bias"][:, np.newaxis]
        return outputs.reshape(-1, count, *self.out).swapaxes(0, 1)

    def backward(self, gradient):
        """(N, outputs, H', W') in, (N, C, H, W) out."""
        outputs, channels = self.parameters["weight"].shape[:2]
        by_outputs = gradient.swapaxes(0, 1).reshape(outputs, -1)
        by_kernels = by_outputs @ self.columns.T
        by_kernels = by_kernels.reshape(outputs, self.size, self.size, channels)
        self.gradients = {
            "weight": by_kernels.transpose(0, 3, 1, 2),
            "bias": by_outputs.sum(axis=1),
        }
        by_columns = self._kernels().T @ by_outputs
        by_windows = by_columns.reshape(self.size, self.size, channels, -1, *self.out)
        by_images = np.zeros(self.shape, np.float32)
        for place, part in self._parts(by_images):
            part += by_windows[place].swapaxes(0, 1)
        return by_images

    def _kernels(self):
        """(outputs, size·size·C): the weight in the order of a column."""
        weight = self.parameters["weight"]
        return weight.transpose(0, 2, 3, 1).reshape(len(weight), -1)

    def _parts(self, images):
        """For each place in a window the view of what all windows have there."""
        height, width = self.out
        for y, x in np.ndindex(self.size, self.size):
            yield (y, x), images[:, :, y : y + height, x : x + width]


class MaxPool(Layer):
    """The largest of each 2 × 2 values; the first of equals gets the gradient."""

    def forward(self, images):
        """(N, C, H, W) in, (N, C, H/2, W/2) out."""
        count, channels, height, width = self.shape = images.shape
        windows = images.reshape(count, channels, height // 2, 2, width // 2, 2)
        windows = windows.swapaxes(3, 4).reshape(count, channels, height // 2, width // 2, 4)
        self.largest = windows.argmax(axis=-1)[..., np.newaxis]
        return np.take_along_axis(windows, self.largest, axis=-1)[..., 0]

    def backward(self, gradient):
        """The shape of the outputs in, that of the inputs out."""
        windows = np.zeros((*gradient.shape, 4), np.float32)
        np.put_along_axis(windows, self.largest, gradient[..., np.newaxis], axis=-1)
        return windows.reshape(*gradient.shape, 2, 2).swapaxes(3, 4).reshape(self.shape)


class Sigmoid(Layer):
    """1 ÷ (1 + e⁻ˣ)."""

    def forward(self, inputs):
        """Any shape in, the same out."""
        self.outputs = 1 / (1 + np.exp(-inputs))
        return self.outputs

    def backward(self, gradient):
        """Likewise."""
        return gradient * self.outputs * (1 - self.outputs)


class Flatten(Layer):
    """All values of an image in one row."""

    def forward(self, images):
        """(N, C, H, W) in, (N, C·H·W) out."""
        self.shape = images.shape
        return images.reshape(len(images), -1)

    def backward(self, gradient):
        """(N, C·H·W) in, (N, C, H, W) out."""
        return gradient.reshape(self.shape)


class Dense(Layer):
    """x·Wᵀ + b."""

    def __init__(self, inputs, outputs):
        super().__init__(weight=(outputs, inputs), bias=(outputs,))

    def forward(self, inputs):
        """(N, inputs) in, (N, outputs) out."""
        self.inputs = inputs
        return inputs @ self.parameters["weight"].T + self.parameters["bias"]

    def backward(self, gradient):
        """(N, outputs) in, (N, inputs) out."""
        self.gradients = {"weight": gradient.T @ self.inputs, "bias": gradient.sum(axis=0)}
        return gradient @ self.parameters["weight"]


def lenet():
    """LeNet-5 with sigmoids and max-pooling; (N, 1, 28, 28) in, (N, 10) logits out.

    Canonical layer name → layer; layers without parameters may have any name.
    """
    return {
        "conv1": Conv(1, 6, 5),
        "sigmoid1": Sigmoid(),
        "pool1": MaxPool(),
        "conv2": Conv(6, 16, 5),
        "sigmoid2": Sigmoid(),
        "pool2": MaxPool(),
        "flatten": Flatten(),
        "dense1": Dense(16 * 4 * 4, 120),
        "sigmoid3": Sigmoid(),
        "dense2": Dense(120, 84),
        "sigmoid4": Sigmoid(),
        "dense3": Dense(84, 10),
    }


MODELS = {"lenet": lenet}
"""Model name → constructor."""
