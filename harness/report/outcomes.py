"""What a gate or a check found, in words."""

from __future__ import annotations

from harness.analysis.outcomes import Accuracy, Proof, Speed
from harness.report.formats import NOTHING

SPEEDS: dict[Speed, str] = {
    "held": "held",
    "slower": "slower",
    "too_noisy": "too noisy",
    "failed": "failed",
    "not_compared": "not compared",
}
ACCURACIES: dict[Accuracy, str] = {
    "held": "held",
    "lower": "lower",
    "too_noisy": "too noisy",
    "not_judged": "not judged",
}
PARITIES: dict[Proof, str] = {"proved": "proved", "lost": "lost", "not_run": "not run"}

CONCLUSIONS = {
    0: "No regression",
    1: "Regression",
    2: "A cell failed, or was not compared",
    3: "Parity is lost",
    4: "Too noisy to judge",
}
"""Exit code → what it means."""


def change_of_time(slowdown: float | None) -> str:
    """``+2.5%``: by how much more time a step takes."""
    return NOTHING if slowdown is None else f"{slowdown:+.1%}"


def points_gained(accuracy_loss: float) -> str:
    """``-0.25 points``: of accuracy, from the loss as a fraction."""
    # Rounded first, and no minus before a zero.
    return f"{round(-accuracy_loss * 100, 2) + 0.0:+.2f} points"
