"""Made-up micro-benchmarks of the usual story's frameworks: as many as a real run has, and as
uneven."""

from __future__ import annotations

from harness.spec.manifest import Run
from harness.spec.micro import (
    Benchmark,
    Extra,
    Micro,
    MicroConditions,
    MicroFile,
    MicroFramework,
    MicroManifest,
    Start,
    Stats,
)

LAYERS = {"conv1": 30, "sigmoid1": 0, "pool1": 0, "conv2": 40, "dense1": 30, "dense2": 20}
"""Layer → FLOP per byte."""
SLOWNESS = {"pytorch": 1.0, "gluon": 2.1, "keras": 1.3}


def bench(name: str, seconds: float, **extra: object) -> Benchmark:
    return Benchmark(
        name=name,
        extra_info=Extra(device="cpu", threads=2, **extra),  # type: ignore[arg-type]
        stats=Stats(
            min=seconds, max=2 * seconds, mean=seconds, stddev=0.1 * seconds, median=seconds,
            iqr=0.1 * seconds, rounds=9, iterations=1,
        ),
    )  # fmt: skip


def benchmarks(framework: str, modes: tuple[str, ...], sizes: tuple[int, ...]) -> list[Benchmark]:
    slow = SLOWNESS.get(framework, 1.0)
    found = [
        bench("test_matmul", 0.02 * slow, framework=framework, piece="matmul", flops=2 * 1024**3,
              bytes=12 * 2**20),
        bench("test_copy", 0.01 * slow, framework=framework, piece="copy", bytes=128 * 2**20),
    ]  # fmt: skip
    for mode in modes:
        of = {"framework": framework, "mode": mode}
        found.append(
            bench(f"test_latency[{mode}]", 4e-4 * slow, piece="latency", batch_size=1, examples=1,
                  flops=563_280, bytes=10**5, **of)
        )  # fmt: skip
        for size in sizes:
            whole = (0.5e-3 + 5e-5 * size) * slow * (0.8 if mode == "compiled" else 1)
            own = {"batch_size": size, "examples": size, **of}
            found += [
                bench(f"test_train_step[{mode}-{size}]", whole, piece="train_step",
                      flops=10**6 * size, bytes=10**4 * size, **own),
                bench(f"test_forward[{mode}-{size}]", whole / 3, piece="forward",
                      flops=6 * 10**5 * size, bytes=4000 * size, **own),
                bench(f"test_optimizer_step[{mode}-{size}]", 1e-4 * slow, piece="optimizer_step",
                      bytes=500_000, **own),
            ]  # fmt: skip
            for layer, intensity in LAYERS.items():
                for direction, share in (("forward", 0.05), ("forward_backward", 0.15)):
                    found.append(
                        bench(f"test_layer[{mode}-{size}-{layer}-{direction}]", share * whole,
                              piece="layer", layer=layer, direction=direction,
                              flops=intensity * 1000 * size or None, bytes=1000 * size, **own)
                    )  # fmt: skip
    return found


def micro_of(
    run: Run,
    *,
    modes: tuple[str, ...] = ("eager", "compiled"),
    sizes: tuple[int, ...] = (1, 256),
    measured: tuple[str, ...] = ("pytorch", "gluon", "keras"),
    **changes: object,
) -> Micro:
    manifest = run.manifest
    conditions = MicroConditions(
        recipe="lenet-sgd", model="lenet", dataset="fashion-mnist", device="cpu", threads=2,
        settings="matched", seed=0, batch_sizes=sizes, quick=bool(changes.pop("quick", False)),
    )  # fmt: skip
    frameworks = dict.fromkeys(cell.framework for cell in manifest.cells)
    versions = {cell.framework: cell.version for cell in manifest.cells}
    told = MicroManifest(
        run=manifest.run,
        created=manifest.created,
        levelfield=manifest.levelfield,
        command=("levelfield", "micro"),
        machine=manifest.machine,
        conditions=conditions,
        frameworks=tuple(
            MicroFramework(
                framework=name, title=manifest.titles.get(name, name), version=versions[name],
                modes=modes, environment="k", environment_bytes=3 * 2**30,
                model_lines={"lenet": 17, "alexnet": 26},
            )
            for name in frameworks
        ),
        **changes,  # type: ignore[arg-type]
    )  # fmt: skip
    files = {
        name: MicroFile(
            version="5.2.0",
            datetime=manifest.created,
            benchmarks=tuple(benchmarks(name, modes, sizes)),
            start=Start(
                framework=name,
                version=versions[name],
                import_seconds=2.0,
                build_seconds=dict.fromkeys(modes, 0.5),
                first_step_seconds={mode: 0.25 * 4**place for place, mode in enumerate(modes)},
                without_pieces={"xla": "a step of this mode has no parts"}
                if "xla" in modes
                else {},
            ),
        )
        for name in frameworks
        if name in measured
    }
    return Micro(manifest=told, files=files)
