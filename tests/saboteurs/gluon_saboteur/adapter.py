"""Gluon's adapter with one mistake a mode. ``impl.toml`` says what each class does wrong."""

import re

import msgspec
from mxnet import autograd

from impls.gluon import adapter as honest
from impls.gluon.adapter import GluonAdapter


class ForgetsWaitall(GluonAdapter):
    def synchronize(self):
        pass


class DividesByWholeBatch(GluonAdapter):
    def _train_on(self, batches):
        step = self._trainer.step
        self._trainer.step = lambda size: step(self._setup.batch_size)
        super()._train_on(batches)
        del self._trainer.step


class AddsGradients(GluonAdapter):
    def __init__(self, setup, context):
        super().__init__(setup, context)
        for parameter in self._net.collect_params().values():
            parameter.grad_req = "add"


class RecordsInPredictMode(GluonAdapter):
    def _train_on(self, batches):
        record = autograd.record
        autograd.record = lambda: record(train_mode=False)
        super()._train_on(batches)
        autograd.record = record


MODES = {
    re.sub("(?<!^)(?=[A-Z])", "-", one.__name__).lower(): one
    for one in (ForgetsWaitall, DividesByWholeBatch, AddsGradients, RecordsInPredictMode)
}


def create(setup):
    honest.GluonAdapter = MODES.get(setup.mode, GluonAdapter)
    return honest.create(msgspec.structs.replace(setup, mode="compiled"))
