"""Holds timed trials against what they had to compute, and accounts for their time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from harness.analysis.audit import Expectation, audit_trial
from harness.analysis.audit_checks import Conditions
from harness.analysis.deviations import FACTOR, ROUNDINGS, granted_at_most, relative_deviation
from harness.analysis.trials import Trial
from harness.commands.forecast import Forecast, model_of
from harness.commands.preparation import Prepared
from harness.commands.trajectories import Trajectory
from harness.environments.machine import measured_peak_flops
from harness.execution.answers import proof_arrays
from harness.execution.contenders import Contender
from harness.execution.dropout import drops
from harness.execution.process import BOOTSTRAP
from harness.spec.cells import Cell
from harness.spec.events import AnyEvent
from harness.spec.proof_events import Audit


class Auditing:
    """The audits of one run's timed trials."""

    def __init__(
        self,
        prepared: Prepared,
        forecast: Forecast,
        ends: Path,
        record: Callable[[AnyEvent], None],
    ) -> None:
        """``ends``: folder of the weights at the end of each trial, ``TRIAL.npz``."""
        self._prepared = prepared
        self._forecast = forecast
        self._ends = ends
        self._record = record

    def audit(self, trials: Sequence[Trial]) -> None:
        """Each of a block's finished ``trials`` was held against what it had to compute.

        Those that were taken over have brought their audits.
        """
        for trial in (each for each in trials if each.started.trained_at is None):
            cell = self._cell(trial.started.cell)
            contender = self._prepared.contenders[cell.id]
            others = [one for one in trials if one.started.cell != trial.started.cell]
            expected = self._forecast.followed(cell, trial.started.seed, long=trial.started.long)
            findings = audit_trial(
                trial,
                self._conditions(contender, trial.started.seed),
                expected
                and Expectation(
                    expected.losses,
                    expected.correct,
                    expected.rounded_losses,
                    expected.rounded_correct,
                ),
                self._end(trial, expected),
                others,
            )
            self._record(
                Audit(
                    at=time.time(),
                    trial=trial.started.trial,
                    cell=cell.id,
                    checks=findings.checks,
                    held_steps=findings.held_steps,
                    unmade=findings.unmade,
                )
            )

    def _end(
        self, trial: Trial, expected: Trajectory | None
    ) -> dict[str, tuple[float | None, float]]:
        """How far each tensor was from the oracle's at the end, and what it is granted."""
        path = self._ends / f"{trial.started.trial}.npz"
        contender = self._prepared.contenders[trial.started.cell]
        older = contender.script or contender.bootstrap != BOOTSTRAP
        weights: Mapping[str, NDArray[Any]] = {}
        if expected is None or trial.finished.steps != len(expected.losses):
            path.unlink(missing_ok=True)
            return {}
        if older and not path.exists():
            return {}  # a script, or a worker of an earlier version, leaves none
        with suppress(ValueError):
            weights = proof_arrays(path, model_of(contender).weight_shapes())
        path.unlink(missing_ok=True)
        return {
            name: (
                relative_deviation(weights[name], array) if name in weights else None,
                granted_at_most(FACTOR * max(ROUNDINGS, expected.last_envelope[name])),
            )
            for name, array in expected.last.items()
        }

    def _conditions(self, contender: Contender, seed: int) -> Conditions:
        cell, model = contender.cell, model_of(contender)
        inputs = self._prepared.inputs
        return Conditions(
            cell=cell,
            train_examples=inputs.train_examples(cell),
            test_examples=inputs.test_examples(cell),
            initial_weights=inputs.weights_hash(cell, seed),
            flops_per_example=model.training_flops(),
            peak_flops=self._peak_flops if cell.device == "cpu" else None,
            agreement=cell.recipe.agreement,
            dropout=drops(model),
        )

    @cached_property
    def _peak_flops(self) -> float:
        return measured_peak_flops()

    def _cell(self, name: str) -> Cell:
        return self._prepared.contenders[name].cell
