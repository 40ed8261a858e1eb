"""A worker's life: build, warm up, then answer commands one by one until told to finish."""

from __future__ import annotations

import importlib
import os
import platform
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness.datasets.arrays import Arrays, digest_of_folder, digest_of_weights, load_arrays
from harness.spec.proof_events import Hashes
from harness.worker.bootstrap import adopt_implementation
from harness.worker.draws import draw
from harness.worker.effects import effects
from harness.worker.loaders import load
from harness.worker.loop import TrainingLoop, batches, evaluation_batch, finite
from harness.worker.readings import peak_memory_bytes, thread_settings
from harness.worker.wire import (
    Describe,
    Described,
    Draw,
    Evaluate,
    Failed,
    Finish,
    Finished,
    Hello,
    Job,
    Load,
    Message,
    Prove,
    Proved,
    Ready,
    Sums,
    Train,
    decode_command,
    encode,
)
from impls.adapter import Adapter, LoadingAdapter


def serve(commands: int, messages: int) -> int:
    """Answer the commands of one file descriptor on another until told to finish; exit status."""
    with open(commands, "rb") as reader, open(messages, "wb", buffering=0) as writer:
        session = Session(writer)
        try:
            session.run(reader)
        except Exception as error:
            detail = traceback.format_exc()
            first_line = (str(error).strip() or "no message").splitlines()[0]
            reason = f"{type(error).__name__}: {first_line}"
            session.send(Failed(phase=session.phase, reason=reason, detail=detail))
            return 1
    return 0


class Start(NamedTuple):
    """Where a trial begins, and a proof in the same worker too."""

    adapter: LoadingAdapter
    data: Arrays
    order: NDArray[np.int32]
    weights: dict[str, NDArray[Any]]
    data_hash: str


class Session:
    """One adapter, from import to its last step."""

    def __init__(self, writer: BinaryIO) -> None:
        self.phase = "import"
        self._writer = writer
        self._phases: dict[str, float] = {}
        # As it was handed on: a framework may change its own.
        self._environment = dict(os.environ)

    def send(self, message: Message) -> None:
        """``message`` is on the wire."""
        self._writer.write(encode(message))

    def run(self, reader: BinaryIO) -> None:
        """All commands up to ``Finish``, or up to the end of the pipe, have been answered."""
        self.send(Hello(pid=os.getpid(), python=platform.python_version()))
        first = reader.readline()
        if not first:
            return
        job = decode_command(first)
        if not isinstance(job, Job):
            raise TypeError(f"The first command is {type(job).__name__}, expected Job")
        loop, ready = self._build(job)
        adapter = loop.adapter
        self.send(ready)
        for line in reader:
            command = decode_command(line)
            if isinstance(command, Train):
                self.phase = "training"
                self.send(loop.window(command))
            elif isinstance(command, Evaluate):
                self.phase = "evaluation"
                self.send(loop.evaluate(command.sample))
            elif isinstance(command, Prove):
                self.phase = "proof"
                self.send(self._prove(command))
            elif isinstance(command, Load):
                self.phase = "loader"
                self.send(load(loop.adapter, job, self._start.weights, command))
            elif isinstance(command, Draw):
                self.phase = "dropout"
                self.send(draw(adapter, job, command))
            elif isinstance(command, Describe):
                self.phase = "description"
                self.send(Described(layers=tuple(adapter.layers())))
            elif isinstance(command, Finish):
                if command.weights:
                    write_arrays(command.weights, adapter.weights())
                self.send(
                    Finished(
                        steps=loop.steps,
                        order_hash=loop.order_hash,
                        peak_memory_bytes=peak_memory_bytes(),
                        peak_device_memory_bytes=asked(adapter, "peak_device_memory_bytes"),
                    )
                )
                return

    @contextmanager
    def _timed(self, phase: str) -> Iterator[None]:
        self.phase = phase
        began = time.perf_counter()
        yield
        self._phases[phase] = self._phases.get(phase, 0.0) + time.perf_counter() - began

    def _build(self, job: Job) -> tuple[TrainingLoop, Ready]:
        with self._timed("import"):
            adopt_implementation(job.folder, job.shared)
            module = importlib.import_module("implementation.adapter")
        data = load_arrays(Path(job.data_folder))
        order = np.load(job.order, mmap_mode="r")
        weights = read_arrays(job.weights)
        with self._timed("build"):
            adapter: LoadingAdapter = module.create(job.setup)
            adapter.load_weights(weights)
            adapter.synchronize()
        if job.warm_up_steps is not None:
            self._warm_up(adapter, job, data, job.warm_up_steps)
        if job.loader is not None:
            with self._timed("stage"):
                published = load_arrays(Path(job.loader.data_folder))
                adapter.open_loader(
                    published.train_images,
                    published.train_labels,
                    job.loader.workers,
                    job.loader.kind,
                )
        self.phase = "device"
        result_device = asked(adapter, "result_device") or ""
        with self._timed("build"):
            # Warm-up has trained: back to the initial weights and a new optimizer.
            adapter.load_weights(weights)
            adapter.synchronize()
        adapter.take_metrics()
        size = job.setup.batch_size
        loop = TrainingLoop(adapter, data, order, size, loading=job.loader is not None)
        ready = Ready(
            phases=self._phases,
            data_hash=digest_of_folder(Path(job.data_folder)),
            weights_hash=digest_of_weights(adapter.weights()),
            device=adapter.device(),
            result_device=result_device,
            threads=thread_settings(),
            effects=effects(self._environment),
            train_examples=len(data.train_labels),
            test_examples=len(data.test_labels),
        )
        self._start = Start(adapter, data, order, weights, ready.data_hash)
        return loop, ready

    def _prove(self, command: Prove) -> Proved:
        """A proof has been taken from its own beginning, and the trial is back at its own."""
        adapter, data, order, weights, data_hash = self._start
        initial = read_arrays(command.weights) if command.weights else weights
        adapter.load_weights(initial)
        adapter.synchronize()
        adapter.take_metrics()
        hashes = Hashes(data=data_hash, weights=digest_of_weights(adapter.weights()), order="")
        if command.order:
            order = np.load(command.order, mmap_mode="r")
        loop = TrainingLoop(adapter, data, order, command.batch_size)
        proved, arrays = prove(loop, command, hashes)
        if command.partial:
            adapter.load_weights(initial)
            partial = TrainingLoop(adapter, data, order, command.partial)
            partial.train_steps(1)
            arrays |= {f"partial/{name}": array for name, array in adapter.weights().items()}
        write_arrays(command.output, arrays)
        adapter.load_weights(weights)
        adapter.synchronize()
        adapter.take_metrics()
        return proved

    def _warm_up(self, adapter: Adapter, job: Job, data: Arrays, steps: int) -> None:
        """Every shape that this trial will meet has been compiled and run."""
        size = job.setup.batch_size
        examples = len(data.train_labels)

        def some(steps: int, batch: int) -> np.ndarray:
            return np.arange(steps * batch).reshape(steps, batch) % examples

        def stage(indices: np.ndarray) -> object:
            return adapter.stage(*batches(data.train_images, data.train_labels, indices))

        with self._timed("stage"):
            one, several = stage(some(1, size)), stage(some(steps, size)) if steps else None
            adapter.synchronize()
        with self._timed("first_step"):
            adapter.train(one)
            adapter.synchronize()
        with self._timed("warm_up"):
            if several is not None:
                adapter.train(several)
            adapter.take_metrics()
            if (job.whole_epochs or job.loader) and examples % size:
                # What is recorded on a GPU to be replayed is recorded at a shape's second step.
                times = 1 if job.setup.device == "cpu" else max(1, steps)
                adapter.train(stage(some(times, examples % size)))
            if job.whole_epochs:
                for evaluation_size in evaluation_sizes(data.test_images.shape):
                    adapter.evaluate(stage(some(1, evaluation_size)))
            adapter.synchronize()


def asked(adapter: Adapter, question: str) -> Any:
    """The answer of a method of the adapter's; nothing where it has none: it may be older."""
    return getattr(adapter, question, lambda: None)()


def evaluation_sizes(test_images: tuple[int, ...]) -> set[int]:
    """Batch sizes that an evaluation of test images of shape (N, H, W) meets."""
    examples, whole = test_images[0], evaluation_batch(test_images)
    return {min(whole, examples), examples % whole} - {0}


def prove(
    loop: TrainingLoop, command: Prove, hashes: Hashes
) -> tuple[Proved, dict[str, NDArray[Any]]]:
    """All losses; and the arrays: logits before and after the first step, weights after it and at
    the end. ``hashes``: those of data and initial weights."""
    adapter = loop.adapter
    images = loop.next_images()
    arrays = {"logits": adapter.logits(images)}
    singles = [loop.train_steps(1)]
    arrays["logits_after_step"] = adapter.logits(images)
    arrays.update({f"weights/{name}": array for name, array in adapter.weights().items()})
    singles += [loop.train_steps(1) for _ in range(command.steps - 1)]
    window = None
    # In one epoch, whether they are taken in one call or not.
    loop.require(command.window_steps)
    if command.singly:
        singles += [loop.train_steps(1) for _ in range(command.window_steps)]
    elif command.window_steps:
        window = loop.train_steps(command.window_steps)
    arrays.update({f"end/{name}": array for name, array in adapter.weights().items()})
    if command.further_steps:
        singles += [loop.train_steps(1) for _ in range(command.further_steps)]
        arrays.update({f"last/{name}": array for name, array in adapter.weights().items()})
    proved = Proved(
        losses=tuple(finite(each.loss_sum / max(1, each.examples)) for each in singles),
        correct=tuple(each.correct for each in singles),
        window=window
        and Sums(
            loss_sum=finite(window.loss_sum), correct=window.correct, examples=window.examples
        ),
        hashes=msgspec.structs.replace(hashes, order=loop.order_hash),
    )
    return proved, arrays


def read_arrays(path: str) -> dict[str, NDArray[Any]]:
    """Name → array of an ``.npz``."""
    with np.load(path) as archive:
        return {name: archive[name] for name in archive.files}


def write_arrays(path: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """``arrays`` are in an ``.npz`` of exactly that name."""
    with Path(path).open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # numpy/numpy#23006
