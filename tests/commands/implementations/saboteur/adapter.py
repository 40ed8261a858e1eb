"""The reference with one mistake a mode, each of a kind that real comparisons have made."""

import msgspec
import numpy as np

from impls.reference.adapter import ReferenceAdapter


class Saboteur(ReferenceAdapter):
    def __init__(self, setup):
        self.mistake = setup.mode
        if self.mistake == "epsilon" and hasattr(setup.optimizer, "epsilon"):
            optimizer = msgspec.structs.replace(setup.optimizer, epsilon=1e-7)
            setup = msgspec.structs.replace(setup, optimizer=optimizer)
        if self.mistake == "summed":
            # With the sum for a loss every gradient is as many times larger as the batch is.
            rate = setup.optimizer.learning_rate * setup.batch_size
            optimizer = msgspec.structs.replace(setup.optimizer, learning_rate=rate)
            setup = msgspec.structs.replace(setup, optimizer=optimizer)
        self.late = None
        super().__init__(msgspec.structs.replace(setup, mode="eager"))

    def load_weights(self, weights):
        weights = {name: np.array(array) for name, array in weights.items()}
        if self.mistake == "flatten":
            kernel = weights["dense1.weight"]
            units = kernel.shape[0]
            transposed = kernel.reshape(units, 16, 4, 4).transpose(0, 2, 3, 1)
            weights["dense1.weight"] = transposed.reshape(units, -1)
        if self.mistake == "perturbed":
            weights["conv2.weight"][3, 2, 1, 0] += 1e-4
        super().load_weights(weights)
        self.late = None

    def stage(self, images, labels):
        if self.mistake != "shifted":
            return super().stage(images, labels)
        previous, self.late = self.late, (images, labels)
        return super().stage(*(previous if previous else (images, labels)))


create = Saboteur
