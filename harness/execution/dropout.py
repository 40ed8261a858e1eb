"""Takes losses under many dropout masks from a cell and from the oracle."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from harness.execution.contenders import Contender, started_worker
from harness.execution.devices import require_device
from harness.execution.process import WorkerProcess
from harness.spec.proof_events import DropoutCheck
from harness.worker.wire import Draw, Drawn, Ready
from impls.adapter import Sgd
from impls.definition import Dropout, Model

Settled = Callable[[DropoutCheck], bool]
"""Whether half of the losses leave no doubt that the cell's dropout is the oracle's."""

COPIES = 3
"""Of one image in a batch: enough to tell masks of their own from one that they share."""
DRAWS = 192
"""Of a cell, in two halves. The weakest mistake that has to be found, one missing layer of two,
leaves 0.45 of the losses' variance in the worst of four seeds of AlexNet and VGG, and is found 99
times of 100."""
DRAWS_AT_A_TIME = 24
"""An answer comes within minutes however busy the machine is."""
ORACLE_DRAWS = 2048
"""They are cheap: without optimizer steps, and what masks don't change is computed once."""


def drops(model: Model) -> bool:
    """Whether there is anything to check: a layer that drops values in training."""
    return any(isinstance(step.layer, Dropout) for step in model.elementary_steps())


def check_dropout(
    contender: Contender,
    oracle: Contender,
    log: Path,
    settled: Settled = lambda _: False,
) -> DropoutCheck:
    """What the cell's masks and the oracle's do to the loss of one batch, from fresh workers.

    ``settled`` is asked once the first half of the cell's losses is there, and spares it the rest.

    Raises:
        WorkerError: a worker failed.
    """
    return dropout_check(contender, oracle_draws(oracle, log), log, settled)


def oracle_draws(oracle: Contender, log: Path) -> Drawn:
    """The oracle's side: the same for all cells of its recipe, seed and data.

    Raises:
        WorkerError: the worker failed.
    """
    command = Draw(copies=COPIES, draws=ORACLE_DRAWS, at_once=True)
    with _worker(oracle, log) as process:
        drawn = process.ask(command, Drawn, "dropout")
        process.finish()
        return drawn


def dropout_check(
    contender: Contender,
    expected: Drawn,
    log: Path,
    settled: Settled = lambda _: False,
) -> DropoutCheck:
    """As ``check_dropout``, with what the oracle gave already.

    Raises:
        WorkerError: the worker failed.
    """
    command = Draw(copies=COPIES, draws=DRAWS_AT_A_TIME)
    check = DropoutCheck(
        at=time.time(),
        cell=contender.cell.id,
        copies=COPIES,
        losses=(),
        oracle_losses=expected.losses,
        inference_losses=(),
        oracle_inference_loss=expected.inference_losses[0],
    )
    with _worker(contender, log) as process:
        for _ in range(DRAWS // DRAWS_AT_A_TIME):
            drawn = process.ask(command, Drawn, "dropout")
            check = msgspec.structs.replace(
                check,
                losses=(*check.losses, *drawn.losses),
                inference_losses=(*check.inference_losses, *drawn.inference_losses),
            )
            if len(check.losses) == DRAWS // 2 and settled(check):
                break
        process.finish()
        return check


@contextmanager
def _worker(contender: Contender, log: Path) -> Iterator[WorkerProcess]:
    """A fresh worker whose training steps change nothing: it holds the common initial weights."""
    setup = msgspec.structs.replace(
        contender.job.setup,
        batch_size=COPIES,
        # Nothing moves, so that all draws are of one distribution.
        optimizer=Sgd(learning_rate=0.0),
        dropout=True,
    )
    job = msgspec.structs.replace(contender.job, setup=setup, warm_up_steps=0, loader=None)
    with started_worker(contender._replace(job=job), log) as process:
        process.greet()
        require_device(contender.cell, process.ask(job, Ready, "import"))
        yield process
