"""Numbers that can be checked by hand."""

from __future__ import annotations

import math

import pytest

from harness.analysis.micro import Roofs, measure, measures, roofs_of, step_times
from harness.analysis.micro_check import (
    compared,
    differing_conditions,
    earlier_ones,
    exceeds,
)
from harness.spec.machine import Machine
from harness.spec.micro import (
    Benchmark,
    Extra,
    Micro,
    MicroConditions,
    MicroFile,
    MicroFramework,
    MicroManifest,
    Stats,
)
from harness.spec.micro_limits import Limit, MicroLimits

MACHINE = Machine(cpu="c", cores=2, memory_bytes=2**30, kernel="k")
CONDITIONS = MicroConditions(
    recipe="lenet-sgd",
    model="lenet",
    dataset="fashion-mnist",
    device="cpu",
    threads=2,
    settings="matched",
    seed=0,
    batch_sizes=(1, 256),
)
ROOFS = Roofs(flops_per_second=100.0, flops_by="a", bytes_per_second=20.0, bytes_by="b")


def bench(name: str, seconds: float, framework: str = "a", **extra: object) -> Benchmark:
    usual = {"piece": name, "mode": "eager", "batch_size": 256, "device": "cpu", "threads": 2}
    return Benchmark(
        name=f"test_{name}[{extra.get('mode', 'eager')}-{extra.get('batch_size', 256)}]",
        extra_info=Extra(framework=framework, **{**usual, **extra}),  # type: ignore[arg-type]
        stats=Stats(
            min=0.9 * seconds, max=2 * seconds, mean=1.1 * seconds, stddev=0.1 * seconds,
            median=seconds, iqr=0.2 * seconds, rounds=5, iterations=1,
        ),
    )  # fmt: skip


def layer(name: str, direction: str, seconds: float, **extra: object) -> Benchmark:
    return bench("layer", seconds, layer=name, direction=direction, **extra)


def micro_of(
    *benchmarks: Benchmark, run: str = "r", version: str = "1", **changes: object
) -> Micro:
    names = dict.fromkeys(each.extra_info.framework for each in benchmarks)
    manifest = MicroManifest(
        run=run,
        created=str(changes.pop("created", "2026-01-01T00:00:00+00:00")),
        levelfield="0",
        command=(),
        machine=MACHINE,
        conditions=CONDITIONS,
        frameworks=tuple(
            MicroFramework(
                framework=name, title=name.upper(), version=version, modes=("eager",),
                environment="", environment_bytes=0,
            )
            for name in names
        ),
        **changes,  # type: ignore[arg-type]
    )  # fmt: skip
    files = {
        name: MicroFile(
            version="5",
            datetime="",
            benchmarks=tuple(each for each in benchmarks if each.extra_info.framework == name),
        )
        for name in names
    }
    return Micro(manifest=manifest, files=files)


def test_the_roofs_are_the_best_of_any_framework():
    found = roofs_of(
        [
            bench("matmul", 0.5, flops=50),
            bench("matmul", 0.25, "b", flops=50),
            bench("copy", 2.0, bytes=40),
            bench("copy", 4.0, "b", bytes=40),
            bench("train_step", 1e-9, flops=10**6, bytes=10**6),
        ]
    )
    assert (found.flops_per_second, found.flops_by) == (200, "b")
    assert (found.bytes_per_second, found.bytes_by) == (20, "a")


def test_without_a_product_and_a_copy_there_are_no_roofs():
    assert roofs_of([bench("forward", 1.0, flops=1, bytes=1)]) == Roofs()
    assert Roofs().attainable(1.0) is None


def test_the_lesser_of_arithmetic_and_memory_is_the_roof():
    assert ROOFS.attainable(2.0) == 40
    assert ROOFS.attainable(5.0) == 100, "the ridge"
    assert ROOFS.attainable(50.0) == 100


def test_rates_and_shares():
    found = measure(bench("forward", 2.0, flops=40, bytes=20, examples=256), ROOFS)
    assert (found.flops_per_second, found.bytes_per_second) == (20, 10)
    assert (found.examples_per_second, found.intensity) == (128, 2)
    assert (found.share_of_peak, found.share_of_bandwidth) == (0.2, 0.5)
    assert found.share_of_roof == 0.5, "20 of the 40 that two operations a byte allow"


def test_what_does_no_arithmetic_has_no_place_under_the_roof():
    found = measure(bench("gather", 2.0, bytes=20), ROOFS)
    assert found.bytes_per_second == 10
    unknown = (found.flops_per_second, found.intensity, found.share_of_peak, found.share_of_roof)
    assert unknown == (None,) * 4


STEP = (
    bench("train_step", 10.0),
    layer("conv1", "forward", 1.0),
    layer("conv1", "forward_backward", 4.0),
    layer("dense1", "forward", 0.5),
    layer("dense1", "forward_backward", 1.25),
    bench("optimizer_step", 0.75),
)


def test_a_step_is_its_layers_its_optimizer_and_the_rest():
    [step] = step_times(measures(micro_of(*STEP)))
    assert (step.framework, step.mode, step.batch_size) == ("a", "eager", 256)
    assert [(one.layer, one.kind) for one in step.layers] == [
        ("conv1", "conv"),
        ("dense1", "dense"),
    ]
    assert [one.forward_seconds for one in step.layers] == [1.0, 0.5]
    assert [one.backward_seconds for one in step.layers] == [3.0, 0.75]
    assert step.rest_seconds == 10 - 4 - 1.25 - 0.75
    assert step.share(step.rest_seconds) == pytest.approx(0.4)
    parts = [one.seconds for one in step.layers] + [step.optimizer_seconds, step.rest_seconds]
    assert math.fsum(filter(None, parts)) == step.seconds


def test_a_step_that_is_faster_than_its_parts_has_a_negative_rest():
    [step] = step_times(measures(micro_of(bench("train_step", 2.0), *STEP[1:])))
    assert step.rest_seconds == -4


def test_a_step_without_layers_is_not_taken_apart():
    assert step_times(measures(micro_of(bench("train_step", 2.0)))) == ()
    half = (bench("train_step", 2.0), layer("conv1", "forward", 1.0))
    assert step_times(measures(micro_of(*half))) == ()


def test_parts_of_another_framework_mode_or_batch_are_not_its_own():
    others = (
        layer("pool1", "forward", 1.0, mode="compiled"),
        layer("pool1", "forward_backward", 1.0, mode="compiled"),
        layer("pool1", "forward", 1.0, batch_size=32),
        layer("pool1", "forward_backward", 1.0, batch_size=32),
        layer("pool1", "forward", 1.0, framework="b"),
        layer("pool1", "forward_backward", 1.0, framework="b"),
    )
    [step] = step_times(measures(micro_of(*STEP, *others)))
    assert [one.layer for one in step.layers] == ["conv1", "dense1"]


def test_an_optimizer_step_measured_once_stands_for_every_batch_size():
    benchmarks = (*STEP[:-1], bench("optimizer_step", 0.5, batch_size=1))
    [step] = step_times(measures(micro_of(*benchmarks)))
    assert step.optimizer_seconds == 0.5
    [without] = step_times(measures(micro_of(*STEP[:-1])))
    assert without.optimizer_seconds is None
    assert without.rest_seconds == 10 - 4 - 1.25


@pytest.mark.parametrize(
    ("before", "now", "limit", "broken"),
    [
        (1.0, 1.25, Limit(field="median", share=0.25), False),
        (1.0, 1.2501, Limit(field="median", share=0.25), True),
        (1.0, 0.5, Limit(field="median", share=0.0), False),
        (1.0, 1.25, Limit(field="median", seconds=0.25), False),
        (1.0, 1.26, Limit(field="median", seconds=0.25), True),
        (0.0, 0.0, Limit(field="iqr", share=0.1), False),
        (0.0, 1e-9, Limit(field="iqr", share=0.1), True),
    ],
)
def test_a_limit_is_broken_beyond_it_and_not_at_it(before, now, limit, broken):
    assert exceeds(before, now, limit) is broken


TEN_PERCENT = (Limit(field="median", share=0.10),)


def test_every_broken_limit_is_named_with_both_values():
    base = micro_of(bench("forward", 1.0), bench("train_step", 2.0), run="base")
    now = micro_of(bench("forward", 1.2), bench("train_step", 2.1))
    limits = MicroLimits(usual=(*TEN_PERCENT, Limit(field="max", seconds=0.3)))
    found = compared(base, now, limits)
    assert (found.base, found.compared) == ("base", 2)
    assert found.times["a/test_forward[eager-256]"] == (1.0, 1.2)
    assert [
        (each.benchmark, each.field, each.before_seconds, each.now_seconds, each.limit)
        for each in found.breaches
    ] == [
        ("a/test_forward[eager-256]", "median", 1.0, 1.2, "median:10%"),
        ("a/test_forward[eager-256]", "max", 2.0, 2.4, "max:0.3"),
    ]


def test_an_override_takes_the_place_of_the_usual_limits():
    base = micro_of(bench("forward", 1.0), bench("train_step", 1.0), run="base")
    now = micro_of(bench("forward", 1.2), bench("train_step", 1.2))
    limits = MicroLimits(
        usual=TEN_PERCENT, overrides={"a/test_forward[[]*": (), "a/test_forward[eager-256]": ()}
    )
    broken = [each.benchmark for each in compared(base, now, limits).breaches]
    assert broken == ["a/test_train_step[eager-256]"]


def test_benchmarks_of_one_run_alone_are_told_and_not_judged():
    base = micro_of(bench("forward", 1.0), bench("copy", 1.0), bench("copy", 1.0, "b"), run="base")
    now = micro_of(bench("forward", 1.0), bench("matmul", 1.0), version="2")
    found = compared(base, now, MicroLimits(usual=TEN_PERCENT))
    assert found.compared == 1
    assert found.missing == ("a/test_copy[eager-256]",), "b was not measured this time"
    assert found.fresh == ("a/test_matmul[eager-256]",)
    assert found.versions == ("A 1, now 2",)
    assert found.breaches == ()


def replaced(manifest: MicroManifest, **changes: object) -> MicroManifest:
    import msgspec

    return msgspec.structs.replace(manifest, **changes)


def test_conditions_that_differ_are_named():
    one = micro_of(bench("forward", 1.0)).manifest
    other = replaced(
        one,
        machine=Machine(cpu="other", cores=2, memory_bytes=2**30, kernel="k"),
        conditions=MicroConditions(
            recipe="lenet-sgd", model="lenet", dataset="fashion-mnist", device="gpu", threads=4,
            settings="matched", seed=1, batch_sizes=(8,),
        ),
    )  # fmt: skip
    said = differing_conditions(one, other)
    assert said[0].startswith("fingerprint ")
    assert said[1:] == ["device cpu, not gpu", "threads 2, not 4"]
    assert differing_conditions(one, one) == []


def test_the_newest_earlier_run_of_the_same_machine_is_compared_with():
    now = micro_of(bench("forward", 1.0), created="2026-03-01").manifest
    first = replaced(now, run="first", created="2026-01-01")
    second = replaced(now, run="second", created="2026-02-01")
    later = replaced(now, run="later", created="2026-04-01")
    elsewhere = replaced(
        second,
        run="elsewhere",
        machine=Machine(cpu="other", cores=2, memory_bytes=2**30, kernel="k"),
    )
    stranger = micro_of(bench("forward", 1.0, "b"), run="stranger", created="2026-02-02").manifest
    known = [first, later, now, elsewhere, second, stranger]
    assert [each.run for each in earlier_ones(now, known)] == ["second", "first"]
