"""What is asked for is computed, but not while the clock runs, or not by what is watched."""

import multiprocessing
import os
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import msgspec
import torch

from impls.pytorch.adapter import PytorchAdapter, create


class TrainsWhileStaging(PytorchAdapter):
    def stage(self, images, labels):
        staged = super().stage(images, labels)
        if labels.shape[1] <= self._setup.batch_size:  # what is larger is evaluated
            super().train(staged)
        return staged

    def train(self, batches):
        pass


class TrainsWindowInLeadIn(PytorchAdapter):
    waiting = ()

    def stage(self, images, labels):
        staged = super().stage(images, labels)
        if labels.shape[1] <= self._setup.batch_size:
            self.waiting = (*self.waiting, *staged)
        return staged

    def train(self, batches):
        waiting, self.waiting = self.waiting, ()
        super().train(waiting)


class TrainsWhenMetricsAreTaken(PytorchAdapter):
    queue = ()

    def load_weights(self, weights):
        self.queue = ()
        super().load_weights(weights)

    def train(self, batches):
        self.queue = (*self.queue, *batches)

    def take_metrics(self):
        queue, self.queue = self.queue, ()
        super().train(queue)
        return super().take_metrics()


class UpdatesWhenWeightsAreAsked(PytorchAdapter):
    queue = ()

    def load_weights(self, weights):
        self.queue = ()
        super().load_weights(weights)

    def train(self, batches):
        if len(batches) <= 3:
            self.catch_up()
            return super().train(batches)
        self.queue = (*self.queue, *batches)
        with torch.inference_mode():
            for images, labels in batches:
                loss, correct = self._forward(self._model, images, labels)
                self._loss_sum.add_(loss, alpha=len(labels))
                self._correct.add_(correct)
                self._examples += len(labels)

    def catch_up(self):
        sums = self._loss_sum.clone(), self._correct.clone(), self._examples
        queue, self.queue = self.queue, ()
        super().train(queue)
        self._loss_sum, self._correct, self._examples = sums

    def weights(self):
        self.catch_up()
        return super().weights()

    def logits(self, images):
        self.catch_up()
        return super().logits(images)

    def evaluate(self, batches):
        self.catch_up()
        return super().evaluate(batches)


class TrainsBeforeLeadIn(PytorchAdapter):
    """Who looks at the weights gets those of before."""

    queue = ()

    def load_weights(self, weights):
        self.queue = ()
        super().load_weights(weights)

    def stage(self, images, labels):
        staged = super().stage(images, labels)
        if labels.shape[0] > 3:
            self.queue = staged
        return staged

    def weights(self):
        before = super().weights()
        queue, self.queue = self.queue, ()
        super().train(queue)
        return before

    def train(self, batches):
        if len(batches) <= 3:
            super().train(batches)


class ForgetsToSynchronize(PytorchAdapter):
    def __init__(self, setup, device):
        self.thread = ThreadPoolExecutor(1)
        super().__init__(setup, device)

    def train(self, batches):
        self.thread.submit(super().train, batches)

    def synchronize(self):
        pass

    def wait(self):
        self.thread.submit(int).result()

    def take_metrics(self):
        self.wait()
        return super().take_metrics()

    def weights(self):
        self.wait()
        return super().weights()

    def logits(self, images):
        self.wait()
        return super().logits(images)

    def evaluate(self, batches):
        self.wait()
        return super().evaluate(batches)


class ChildProcess:
    """The honest adapter in a process of its own, which is asked by name."""

    threads = 2

    def __init__(self, setup):
        self.pipe, other = multiprocessing.Pipe()
        self.unanswered = 0
        if os.fork() == 0:
            self.pipe.close()
            self.begin()
            setup = msgspec.structs.replace(setup, threads=self.threads * setup.threads)
            serve(other, create(setup))
        other.close()

    def begin(self):
        pass

    def tell(self, name, *arguments):
        self.pipe.send((name, arguments))
        self.unanswered += 1

    def ask(self, name, *arguments):
        self.tell(name, *arguments)
        while self.unanswered:
            answer = self.pipe.recv()
            self.unanswered -= 1
        return answer

    def __getattr__(self, name):
        return partial(self.ask, name)


class DetachedChild(ChildProcess):
    threads = 1

    def begin(self):
        os.setsid()

    def train(self, batches):
        self.tell("train", batches)

    def synchronize(self):
        pass


def serve(pipe, adapter):
    """Until nobody asks any more. Staged batches stay here; who asked for them gets a number."""
    staged = {}
    try:
        while True:
            name, arguments = pipe.recv()
            if name in ("train", "evaluate"):
                arguments = (staged.pop(*arguments),)
            answer = getattr(adapter, name)(*arguments)
            if name == "stage":
                number = max(staged, default=0) + 1
                staged[number], answer = answer, number
            pipe.send(answer)
    finally:
        os._exit(0)


class TwiceTheThreads(PytorchAdapter):
    def __init__(self, setup, device):
        torch.set_num_threads(2 * setup.threads)
        super().__init__(setup, device)


class SlowClock(PytorchAdapter):
    def __init__(self, setup, device):
        clock = time.perf_counter
        began = clock()
        time.perf_counter = lambda: began + (clock() - began) / 2
        super().__init__(setup, device)


class StoppedClock(PytorchAdapter):
    def __init__(self, setup, device):
        self.clock = time.perf_counter
        self.stood = 0.0
        time.perf_counter = lambda: self.clock() - self.stood
        super().__init__(setup, device)

    def train(self, batches):
        began = self.clock()
        super().train(batches)
        self.stood += 0.99 * (self.clock() - began)
