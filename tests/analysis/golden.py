"""The golden runs: what the events were, and what must be said about them.

``python -m tests.analysis.golden`` (from the repository's root) writes ``fixtures/`` anew: of each
run its manifest, its events, and the judgement. Read the difference before you keep it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from harness.analysis.observations import Observations
from harness.analysis.verdicts import judge
from harness.spec.events import AnyEvent
from harness.spec.manifest import Manifest, Run
from harness.spec.proof_events import Hashes

from .runs import HASHES, Contender, Logs, noise, speed_run

FIXTURES = Path(__file__).parent / "fixtures"

A, TWIN, B, C = Contender("alpha"), Contender("alpha", True), Contender("beta"), Contender("gamma")


def _logs(
    blocks: int, sd: float, *, rounds: int = 2, twin: float = 0.0, **shifts: float
) -> dict[Contender, Logs]:
    """Contender → log rates: the reference, its second copy, then ``shifts`` by framework."""
    logs = {A: noise(1, blocks, rounds, sd), TWIN: noise(2, blocks, rounds, sd, shift=twin)}
    for seed, (framework, shift) in enumerate(shifts.items(), start=3):
        logs[Contender(framework)] = noise(seed, blocks, rounds, sd, shift=shift)
    return logs


def faster() -> Run:
    return speed_run(_logs(5, 0.01, beta=0.2, gamma=-0.2), looks=(5,))


def equivalent_though_significant() -> Run:
    return speed_run(_logs(6, 0.001, beta=0.01), looks=(6,))


def inconclusive() -> Run:
    return speed_run(_logs(5, 0.08, beta=0.05), looks=(5,))


def aa_failed() -> Run:
    return speed_run(_logs(5, 0.01, twin=0.1, beta=0.5), looks=(5,))


def parity_failed() -> Run:
    return speed_run(_logs(5, 0.01, beta=0.2, gamma=0.4), looks=(5,), worst={"gamma": 6e-4})


def hashes_differ() -> Run:
    other = Hashes(data=HASHES.data, weights=HASHES.weights, order="0" * 64)
    return speed_run(_logs(5, 0.01, beta=0.2), looks=(5,), hashes={"beta": other})


def too_few_blocks() -> Run:
    return speed_run(_logs(3, 0.01, beta=0.2), looks=(3,))


def no_aa() -> Run:
    logs = _logs(5, 0.01, beta=0.2)
    del logs[TWIN]
    return speed_run(logs, looks=(5,))


def stalls() -> Run:
    logs = _logs(5, 0.01, rounds=5, beta=0.2)
    logs[B][:, 2] -= 1.2
    return speed_run(logs, looks=(5,))


def failed_cell() -> Run:
    """One contender never starts, another fails once."""
    logs = _logs(6, 0.01, beta=0.2, gamma=0.3)
    logs[B][2] = np.nan
    logs[C][:] = np.nan
    return speed_run(logs, looks=(6,))


def look_2_decides() -> Run:
    """One pair is decided at the first look, the others are not."""
    return speed_run(_logs(20, 0.05, rounds=2, beta=0.06, gamma=0.6), looks=(10, 20))


def stopped_early() -> Run:
    """The user stopped it between the looks."""
    logs = {each: rows[:13] for each, rows in _logs(20, 0.05, rounds=2, beta=0.06).items()}
    return speed_run(logs, looks=(10, 20))


def restless() -> Run:
    return speed_run(_logs(5, 0.01, beta=0.2), looks=(5,), restless=(3,))


SCENARIOS: dict[str, Callable[[], Run]] = {
    scenario.__name__: scenario
    for scenario in (
        faster,
        equivalent_though_significant,
        inconclusive,
        aa_failed,
        parity_failed,
        hashes_differ,
        too_few_blocks,
        no_aa,
        stalls,
        failed_cell,
        look_2_decides,
        stopped_early,
        restless,
    )
}


def stored_run(name: str) -> Run:
    """The run as it lies in ``fixtures/``."""
    lines = (FIXTURES / f"{name}.jsonl").read_bytes().splitlines()
    decoder = msgspec.json.Decoder(AnyEvent)
    return Run(
        manifest=msgspec.json.decode((FIXTURES / f"{name}.run.json").read_bytes(), type=Manifest),
        events=[decoder.decode(line) for line in lines],
    )


def stored_judgement(name: str) -> Any:
    return msgspec.json.decode((FIXTURES / f"{name}.judgement.json").read_bytes())


def judgement_of(run: Run) -> Any:
    """All of it as plain values, floats to 9 digits: libraries differ in the last ones."""
    return _rounded(msgspec.to_builtins(judge(Observations(run))))


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list | tuple) else value


def write_fixtures() -> None:
    FIXTURES.mkdir(exist_ok=True)
    for name, scenario in SCENARIOS.items():
        run = scenario()
        manifest = msgspec.json.format(msgspec.json.encode(run.manifest)) + b"\n"
        (FIXTURES / f"{name}.run.json").write_bytes(manifest)
        lines = b"\n".join(msgspec.json.encode(event) for event in run.events) + b"\n"
        (FIXTURES / f"{name}.jsonl").write_bytes(lines)
        judgement = msgspec.json.format(msgspec.json.encode(judgement_of(run))) + b"\n"
        (FIXTURES / f"{name}.judgement.json").write_bytes(judgement)


if __name__ == "__main__":
    write_fixtures()
