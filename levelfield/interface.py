"""The Python interface: stored runs as pandas data frames and matplotlib charts.

The columns of all frames, with their types and units, stand in ``docs/formats.md``. Times are
seconds, sizes bytes, losses nats; a value that is missing is missing in pandas' sense.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from levelfield.within import within

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame


class StoredRun:
    """A stored run. Its frames are made when they are first asked for, and then kept.

    Only finished blocks are in them. Frames are of the caller's: what is changed stays changed.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Read the run in ``folder``."""
        with within():
            from harness.analysis.observations import Observations
            from harness.store.runs import read_run as read

            self._run = Observations(read(Path(folder)))
        self.folder = Path(folder)
        self.id: str = self._run.manifest.run

    def __repr__(self) -> str:
        return f"<levelfield run {self.id}>"

    @cached_property
    def windows(self) -> DataFrame:
        """A row for each timed window, short trials first: 57 columns, those of the CSV export."""
        return self._frame("windows_frame")

    @cached_property
    def trials(self) -> DataFrame:
        """A row for each trial: its seconds by phase, its peak memory in bytes."""
        return self._frame("trials_frame")

    @cached_property
    def evaluations(self) -> DataFrame:
        """A row for each evaluation of the test set: loss in nats, accuracy as a fraction."""
        return self._frame("evaluations_frame")

    @cached_property
    def rates(self) -> DataFrame:
        """A row for each contender: examples/s with its 95 % interval."""
        return self._frame("rates_frame")

    @cached_property
    def verdicts(self) -> DataFrame:
        """A row for each pair of contenders: the ratio of rates, its intervals, the verdict."""
        return self._frame("verdicts_frame")

    @cached_property
    def parity(self) -> DataFrame:
        """A row for each proof, check and audit, in the order in which they were made."""
        return self._frame("parity_frame")

    @cached_property
    def curves(self) -> DataFrame:
        """A row for each point of a long trial's curve, by epochs and by training seconds."""
        return self._frame("curves_frame")

    def _frame(self, name: str) -> DataFrame:
        with within():
            from harness.analysis import frames

            return getattr(frames, name)(self._run)

    @cached_property
    def _charts(self) -> Mapping[str, Any]:
        from harness.report.plots import charts_of

        return charts_of(self._run)

    def _draw(self, kind: str, group: str | None, ax: Axes | None) -> Axes:
        with within():
            from harness.report.plots import draw_chart

            return draw_chart(self._run, self._charts, kind, group, ax)


def read_run(
    run: str | os.PathLike[str] = "latest", *, out: str | os.PathLike[str] = "."
) -> StoredRun:
    """A stored run.

    Args:
        run: ``latest``, a run's id, or the path of its folder.
        out: The folder that holds ``results/runs``, as ``--out`` names it.

    Raises:
        LevelfieldError: there is no such run, or it can't be read.
    """
    with within():
        from harness.store.runs import run_folder

        folder = run_folder(Path(out) / "results" / "runs", os.fspath(run))
    return StoredRun(folder)


def read_history(
    cell: str, *, machine: str | None = None, out: str | os.PathLike[str] = "."
) -> DataFrame:
    """A row for each run that has timed ``cell``, oldest first, as ``levelfield history`` has them.

    Runs that can't be read are left out with a warning.

    Args:
        cell: Its id, with or without the version; its beginning; ``*`` and ``?`` fit all.
        machine: A machine's fingerprint; none: the one of the newest run.
        out: The folder that holds ``results/runs``, as ``--out`` names it.

    Raises:
        LevelfieldError: there is no such cell, or more than one, or nothing has timed it.
    """
    with within():
        from harness.analysis.frames import frame_of
        from harness.analysis.history import HistoryPoint, levels_of
        from harness.commands.history import recorded_rates

        found = recorded_rates(
            Path(out) / "results" / "runs",
            cell,
            machine,
            lambda problem: warnings.warn(f"Left out: {problem}", stacklevel=2),
            lambda status: None,
        )
        return frame_of(HistoryPoint, levels_of(found.rates).points)


def plot_rates(run: StoredRun, ax: Axes | None = None, *, group: str | None = None) -> Axes:
    """Examples/s of each contender with its 95 % interval, as bars on ``ax``.

    Args:
        run: As ``read_run`` gives it.
        ax: Where to draw; none: on a new figure.
        group: Whose contenders; none: those of the run's first group.
    """
    return run._draw("rates", group, ax)


def plot_ratios(run: StoredRun, ax: Axes | None = None, *, group: str | None = None) -> Axes:
    """Rates as multiples of the reference's, on a logarithmic axis, with intervals and verdicts.

    Behind them stand the band of ±3 % and the noise floor (A/A). Arguments as ``plot_rates``.
    """
    return run._draw("ratios", group, ax)


def plot_distribution(run: StoredRun, ax: Axes | None = None, *, group: str | None = None) -> Axes:
    """Milliseconds a step in each timed window, with quartiles. Arguments as ``plot_rates``."""
    return run._draw("distribution", group, ax)


def plot_accuracy(run: StoredRun, ax: Axes | None = None, *, group: str | None = None) -> Axes:
    """Test accuracy by epochs, beside the published figures. Arguments as ``plot_rates``."""
    return run._draw("epochs", group, ax)
