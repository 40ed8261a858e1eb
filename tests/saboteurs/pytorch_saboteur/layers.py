"""Dropout and BatchNorm other than the model has them."""

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from impls.pytorch.adapter import PytorchAdapter


def named(model, kind):
    return [(name, module) for name, module in model.named_modules() if isinstance(module, kind)]


class OmitsDropout(PytorchAdapter):
    rate = 0.0

    def __init__(self, setup, device):
        super().__init__(setup, device)
        if setup.dropout:
            for _, module in named(self._model, nn.Dropout):
                module.p = self.rate


class DropsTooLittle(OmitsDropout):
    rate = 0.4


class FreezesDropout(PytorchAdapter):
    def _step(self, images, labels):
        torch.manual_seed(self._setup.seed)
        super()._step(images, labels)


class LeavesDropoutUnscaled(PytorchAdapter):
    def __init__(self, setup, device):
        super().__init__(setup, device)
        for _, module in named(self._model, nn.Dropout):
            module.register_forward_hook(self.unscaled)

    def unscaled(self, module, inputs, output):
        return output * (1 - module.p) if module.training else output


class BiasesVariance(PytorchAdapter):
    def __init__(self, setup, device):
        super().__init__(setup, device)
        self.old = {}
        for _, module in named(self._model, _BatchNorm):
            module.register_forward_pre_hook(self.keep)
            module.register_forward_hook(self.correct)

    def keep(self, module, inputs):
        self.old[module] = (1 - module.momentum) * module.running_var

    def correct(self, module, inputs, output):
        if module.training:
            count = inputs[0].numel() // inputs[0].shape[1]
            old = self.old[module]
            # .data: the backward pass holds the variance, though it doesn't need it.
            module.running_var.data.copy_(old + (module.running_var - old) * (count - 1) / count)


class ConfusesMomentum(PytorchAdapter):
    def __init__(self, setup, device):
        super().__init__(setup, device)
        for _, module in named(self._model, _BatchNorm):
            module.momentum = 1 - module.momentum


class StaysInEvaluationMode(PytorchAdapter):
    def train(self, batches):
        self._model.train = lambda: None
        try:
            super().train(batches)
        finally:
            del self._model.train
