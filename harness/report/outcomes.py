"""What a gate or a check found, in words."""

from __future__ import annotations

from harness.analysis.outcomes import Accuracy, Proof, Speed
from harness.report.formats import NOTHING
from harness.report.page import Tone

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

SPEED_TONES: dict[Speed, Tone] = {
    "held": "good",
    "slower": "bad",
    "too_noisy": "doubt",
    "failed": "bad",
    "not_compared": "plain",
}
ACCURACY_TONES: dict[Accuracy, Tone] = {
    "held": "good",
    "lower": "bad",
    "too_noisy": "doubt",
    "not_judged": "plain",
}
PARITY_TONES: dict[Proof, Tone] = {"proved": "good", "lost": "bad", "not_run": "plain"}

CONCLUSIONS = {
    0: "No regression",
    1: "Regression",
    2: "A cell failed, or was not compared",
    3: "Parity is lost",
    4: "Too noisy to judge",
}
"""Exit code → what it means."""
EXIT_TONES: dict[int, Tone] = {0: "good", 1: "bad", 2: "doubt", 3: "bad", 4: "doubt"}


def change_of_time(slowdown: float | None) -> str:
    """``+2.5%``: by how much more time a step takes."""
    return NOTHING if slowdown is None else f"{slowdown:+.1%}"


def points_gained(accuracy_loss: float) -> str:
    """``-0.25 points``: of accuracy, from the loss as a fraction."""
    # Rounded first, and no minus before a zero.
    return f"{round(-accuracy_loss * 100, 2) + 0.0:+.2f} points"
