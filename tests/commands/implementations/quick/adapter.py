"""Quick and wrong: of a window's batches only the first is trained. Parity must say so."""

import time

from impls.adapter import Metrics
from impls.reference.adapter import ReferenceAdapter


class Adapter(ReferenceAdapter):
    def train(self, batches):
        _, labels = batches
        self.metrics = Metrics(0.5 * labels.size, labels.size // 2, labels.size)
        time.sleep(0.002 * len(labels))

    def stage(self, images, labels):
        return images, labels

    def take_metrics(self):
        return getattr(self, "metrics", Metrics(0.0, 0, 0))

    def evaluate(self, batches):
        _, labels = batches
        return Metrics(float(labels.size), labels.size // 10, labels.size)


create = Adapter
