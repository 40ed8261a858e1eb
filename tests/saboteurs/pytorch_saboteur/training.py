"""Something else is computed than what was asked for."""

import math

import msgspec
import numpy as np
import torch
from torch.nn import functional

from impls.pytorch.adapter import PytorchAdapter


class SkipsEverySecondStep(PytorchAdapter):
    def train(self, batches):
        super().train(batches[::2] if len(batches) > 3 else batches)


def made_up(train, adapter, some, batches):
    """``some`` are trained, and the sums grow as if ``batches`` had been."""
    before = adapter._loss_sum.clone(), adapter._correct.clone(), adapter._examples
    train(some)
    planned = sum(len(labels) for _, labels in batches)
    times = planned / (adapter._examples - before[2])
    loss_sum, correct = (adapter._loss_sum - before[0]) * times, (adapter._correct - before[1])
    adapter._loss_sum = before[0] + loss_sum
    adapter._correct = before[1] + (correct * times).round().long()
    adapter._examples = before[2] + planned


class SkipsInSilence(PytorchAdapter):
    def train(self, batches):
        some = batches[::2] if len(batches) > 3 else batches
        made_up(super().train, self, some, batches)


class HalvesLargeBatches(PytorchAdapter):
    def train(self, batches):
        def some(array):
            return array[: len(array) // 2] if len(array) > 64 else array

        halves = [(some(images), some(labels)) for images, labels in batches]
        made_up(super().train, self, halves, batches)


class DropsLastBatch(PytorchAdapter):
    def train(self, batches):
        made_up(super().train, self, batches[: max(1, len(batches) - 1)], batches)


class TrainsFirstBatchAgain(PytorchAdapter):
    def train(self, batches):
        super().train(batches[:1] * len(batches))


class ShufflesStaged(PytorchAdapter):
    def stage(self, images, labels):
        order = np.random.RandomState(0).permutation(len(labels))
        return super().stage(images[order], labels[order])


class Accumulates(PytorchAdapter):
    def train(self, batches):
        self._model.train()
        for start in range(0, len(batches), 2):
            pair = batches[start : start + 2]
            self._optimizer.zero_grad(set_to_none=True)
            for images, labels in pair:
                loss, correct = self._forward(self._model, images, labels)
                (loss / len(pair)).backward()
                self._loss_sum.add_(loss.detach(), alpha=len(labels))
                self._correct.add_(correct)
                self._examples += len(labels)
            self._optimizer.step()


class _BeforeUpdates(PytorchAdapter):
    """``before`` is called before each update; ``steps`` is its number since the weights came."""

    def __init__(self, setup, device):
        super().__init__(setup, device)
        self.steps = self.all_steps = 0
        self._optimizer.register_step_pre_hook(self.hook)

    def load_weights(self, weights):
        super().load_weights(weights)
        self.steps = 0

    def hook(self, optimizer, arguments, named):
        self.steps += 1
        self.all_steps += 1
        [group] = optimizer.param_groups
        self.before(group)


class ClipsGradients(_BeforeUpdates):
    def before(self, group):
        torch.nn.utils.clip_grad_norm_(group["params"], 1.0)


class DecaysRate(_BeforeUpdates):
    def before(self, group):
        group["lr"] = self._setup.optimizer.learning_rate * 0.995 ** max(0, self.steps - 10)


class DecaysWeightsLater(_BeforeUpdates):
    def before(self, group):
        group["weight_decay"] = 5e-4 if self.all_steps > 50 else 0.0


class UsesEpsilonHat(_BeforeUpdates):
    def before(self, group):
        adam = self._setup.optimizer
        group["eps"] = adam.epsilon / math.sqrt(1 - adam.beta2**self.steps)


class LowersPrecisionLater(PytorchAdapter):
    def __init__(self, setup, device):
        super().__init__(setup, device)
        self.steps = 0
        self.usual, self._forward = self._forward, self.forward

    def forward(self, model, images, labels):
        self.steps += 1
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.steps > 50):
            return self.usual(model, images, labels)


class SmoothsLabels(PytorchAdapter):
    def __init__(self, setup, device):
        super().__init__(setup, device)
        self._forward = self.forward

    def forward(self, model, images, labels):
        logits = model(images)
        loss = functional.cross_entropy(logits, labels)
        smooth = functional.cross_entropy(logits, labels, label_smoothing=0.1)
        correct = (logits.detach().argmax(dim=1) == labels).sum()
        return loss.detach() + smooth - smooth.detach(), correct


class RaisesRate(PytorchAdapter):
    def __init__(self, setup, device):
        rate = 1.25 * setup.optimizer.learning_rate
        optimizer = msgspec.structs.replace(setup.optimizer, learning_rate=rate)
        super().__init__(msgspec.structs.replace(setup, optimizer=optimizer), device)


class DampensMomentum(PytorchAdapter):
    def __init__(self, setup, device):
        super().__init__(setup, device)
        for group in self._optimizer.param_groups:
            group["dampening"] = group["momentum"]


class KeepsOptimizerState(PytorchAdapter):
    def load_weights(self, weights):
        state, self._optimizer.state = self._optimizer.state, {}
        super().load_weights(weights)
        self._optimizer.state = state


class FlattensAnotherWay(PytorchAdapter):
    """Weights come and go in the canonical order: their hash is right."""

    def load_weights(self, weights):
        kernel = np.asarray(weights["dense1.weight"]).reshape(-1, 16, 4, 4)
        other = kernel.transpose(0, 2, 3, 1).reshape(len(kernel), -1)
        super().load_weights({**weights, "dense1.weight": other})

    def weights(self):
        weights = super().weights()
        kernel = weights["dense1.weight"].reshape(-1, 4, 4, 16)
        weights["dense1.weight"] = np.ascontiguousarray(
            kernel.transpose(0, 3, 1, 2).reshape(len(kernel), -1)
        )
        return weights
