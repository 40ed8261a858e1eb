"""Goes wrong about dropout in the way that its mode names."""

import msgspec
import numpy as np

from impls.definition import Dropout
from impls.reference.adapter import ReferenceAdapter


def create(setup):
    changed = {"missing": Dropout(rate=0.0), "rate": Dropout(rate=0.3)}.get(setup.mode)
    model = setup.model
    if changed:
        layers = [changed if isinstance(one, Dropout) else one for one in model.layers]
        model = msgspec.structs.replace(model, layers=tuple(layers))
    kind = {"frozen": Frozen, "inference": Inference}.get(setup.mode, ReferenceAdapter)
    return kind(msgspec.structs.replace(setup, mode="eager", model=model))


class Frozen(ReferenceAdapter):
    """Seeds its generator anew in each step."""

    def train(self, batches):
        for batch in batches:
            self._masks = np.random.default_rng(self._setup.seed)
            super().train([batch])


class Inference(ReferenceAdapter):
    """Forgets to say that it is not training."""

    def _forward(self, images, *, training):
        return super()._forward(images, training=True)
