"""What all micro-benchmarks share: which there are, how each is timed, what its JSON says of it.

They run inside a framework's environment, started by ``levelfield micro``; any other pytest passes
this folder by.

A round is as many calls as fill 5 ms; its clock is read when everything before it is finished, and
again when the calls are (``Bench.clock``). Inputs are staged, and each call has been made four
times, before the first round: the first one, in which things are compiled, is timed apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness.worker.micro_bench import Bench, NoPiecesError
from impls.adapter import Adapter
from impls.costs import Cost
from impls.pieces import Pieces, measured_layers

WARM_UP_CALLS = 3
"""After the first one."""

Measure = Callable[..., Any]


def bench_of(config: pytest.Config) -> Bench | None:
    """What the launcher brought along."""
    plugins = config.pluginmanager.get_plugins()
    return next((plugin for plugin in plugins if isinstance(plugin, Bench)), None)


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Nothing is collected here without the launcher."""
    return None if bench_of(config) else True


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Benchmarks are made for each mode and batch size; layers by name and direction too.

    Layers that are compiled are measured with the largest batch alone: each is compiled by itself,
    which may take seconds.
    """
    bench = bench_of(metafunc.config)
    assert bench is not None
    job = bench.job
    modes = list(job.modes) if "mode" in metafunc.fixturenames else [""]
    if "layer" in metafunc.fixturenames:
        cases = [
            (mode, size, layer, direction)
            for mode in modes
            for size in (job.batch_sizes if mode == "eager" else [bench.largest])
            for layer in measured_layers(job.model)
            for direction in ("forward", "forward_backward")
        ]
        ids = ["-".join(map(str, case)) for case in cases]
        metafunc.parametrize("mode, batch_size, layer, direction", cases, ids=ids)
        return
    if "mode" in metafunc.fixturenames:
        metafunc.parametrize("mode", modes)
    if "batch_size" in metafunc.fixturenames:
        metafunc.parametrize("batch_size", job.batch_sizes)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """All read the same clock, which waits for the device first."""
    bench = bench_of(config)
    if bench is None:
        return
    for item in items:
        own = item.get_closest_marker("benchmark")
        options = {**(own.kwargs if own else {}), "timer": bench.clock}
        item.add_marker(pytest.mark.benchmark(**options), append=False)


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_json(
    config: pytest.Config, benchmarks: Any, output_json: dict[str, Any]
) -> None:
    """The file says which framework it is of, and what it cost before the first benchmark."""
    bench = bench_of(config)
    assert bench is not None
    output_json["levelfield"] = bench.facts()


@pytest.fixture(scope="session")
def bench(pytestconfig: pytest.Config) -> Bench:
    """What is measured."""
    bench = bench_of(pytestconfig)
    assert bench is not None
    return bench


@pytest.fixture
def adapter(bench: Bench, mode: str) -> Adapter:
    """The adapter of the mode, with the initial weights."""
    return bench.adapter(mode)


@pytest.fixture
def batch(bench: Bench, mode: str, batch_size: int) -> Any:
    """One staged batch."""
    return bench.staged(mode, batch_size)


@pytest.fixture
def pieces(bench: Bench, request: pytest.FixtureRequest) -> Pieces:
    """The parts of the mode's step (of the first mode's, where a benchmark is for none)."""
    named = "mode" in request.fixturenames
    try:
        return bench.pieces(request.getfixturevalue("mode") if named else "")
    except NoPiecesError as error:
        pytest.skip(str(error))


@pytest.fixture
def measure(bench: Bench, benchmark: Any) -> Measure:
    """Times a call, and gives what it returned last."""

    def measured(
        call: Callable[[], Any],
        *,
        piece: str,
        cost: Cost,
        mode: str = "",
        batch_size: int | None = None,
        examples: int | None = None,
        layer: str = "",
        direction: str = "",
    ) -> Any:
        first_call_seconds = bench.seconds(call)
        for _ in range(0 if bench.job.quick else WARM_UP_CALLS):
            call()
        benchmark.group = piece if batch_size is None else f"{piece} {batch_size}"
        benchmark.extra_info.update(
            framework=bench.job.implementation,
            mode=mode,
            piece=piece,
            layer=layer,
            direction=direction,
            batch_size=batch_size,
            examples=batch_size if examples is None else examples,
            flops=cost.flops or None,
            bytes=cost.bytes or None,
            device=bench.job.device,
            threads=bench.job.threads,
            first_call_seconds=first_call_seconds,
        )
        return benchmark(call)

    return measured
