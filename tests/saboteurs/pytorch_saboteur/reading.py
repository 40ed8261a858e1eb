"""What is told is not what was computed."""

import math

from impls.pytorch.adapter import PytorchAdapter


class ReusesFirstLoss(PytorchAdapter):
    def train(self, batches):
        before = self._loss_sum.clone()
        super().train(batches[:1])
        first = self._loss_sum - before
        super().train(batches[1:])
        self._loss_sum = before + first * len(batches)


class GuessesHits(PytorchAdapter):
    def take_metrics(self):
        metrics = super().take_metrics()
        mean_loss = metrics.loss_sum / max(1, metrics.examples)
        return metrics._replace(correct=round(metrics.examples * math.exp(-mean_loss)))


class ReturnsStaleWeights(PytorchAdapter):
    stale = None

    def load_weights(self, weights):
        super().load_weights(weights)
        self.stale = None

    def train(self, batches):
        self.stale = super().weights() if len(batches) > 3 else None
        super().train(batches)

    def weights(self):
        return self.stale or super().weights()


class EvaluatesATenth(PytorchAdapter):
    def evaluate(self, batches):
        some = [(images[::10], labels[::10]) for images, labels in batches]
        metrics = super().evaluate(some)
        examples = sum(len(labels) for _, labels in batches)
        times = examples / metrics.examples
        return type(metrics)(metrics.loss_sum * times, round(metrics.correct * times), examples)


class PadsEvaluation(PytorchAdapter):
    def evaluate(self, batches):
        metrics = super().evaluate(batches)
        return metrics._replace(examples=-(-metrics.examples // 64) * 64)


class EvaluatesInTrainingMode(PytorchAdapter):
    def evaluate(self, batches):
        self._model.eval = self._model.train
        try:
            return super().evaluate(batches)
        finally:
            del self._model.eval
