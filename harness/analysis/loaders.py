"""Whether a loader brings the training set, and is trained on as it brings it."""

from __future__ import annotations

from collections.abc import Iterator

from harness.analysis.parity import ParityResult
from harness.spec.proof_events import LoaderCheck


def loader_verdict(check: LoaderCheck) -> ParityResult:
    """Whether an epoch was the training set, and training on it what the proof has shown."""
    failures = tuple(_failures(check))
    return ParityResult(
        cell=check.cell,
        passed=not failures,
        failures=failures,
        worst_at_step_1=None,
        worst_at_steps_2_to_10=None,
    )


def _failures(check: LoaderCheck) -> Iterator[str]:
    if check.examples != check.expected_examples:
        yield (
            f"an epoch of the loader has {check.examples:,} examples, expected "
            f"{check.expected_examples:,}: the training set, each once"
        )
    elif check.labels != check.expected_labels or (
        check.digest and check.digest != check.expected_digest
    ):
        yield (
            "an epoch of the loader has other examples than the training set has, expected each "
            "of them once"
        )
    if check.in_file_order:
        yield "the loader brings the examples in the order of the file, expected a shuffled one"
    elif check.same_order_again:
        yield "the loader's second epoch begins as its first, expected another order"
    for deviation in check.deviations:
        if deviation.value is None or deviation.value > deviation.tolerance:
            what = f"{deviation.check} {deviation.tensor}".strip()
            off = "not a finite number" if deviation.value is None else f"{deviation.value:.1e}"
            yield (
                f"{what} after {deviation.step} batches of the loader: off by {off} from training "
                f"on the same batches staged, expected {deviation.tolerance:.1e} at most"
            )
