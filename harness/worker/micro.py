"""Runs the micro-benchmarks of one implementation: ``python -I …/micro.py JOB.json``, by path.

The interpreter is that of the framework's environment, as for ``bootstrap.py``. pytest and
pytest-benchmark come from an environment of their own, whose ``site-packages`` is put behind
everything else: whatever the framework brought along is found first.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
from pathlib import Path

BOOTSTRAP = runpy.run_path(str(Path(__file__).with_name("bootstrap.py")))

STEADY = {
    "max-time": "0.3",  # seconds of rounds for each benchmark
    "min-time": "0.005",  # seconds of one round: short calls are repeated until they fill it
    "min-rounds": "5",
    "calibration-precision": "10",
}
QUICK = {"max-time": "0", "min-time": "0", "min-rounds": "1", "calibration-precision": "1"}


def main() -> int:
    """Measure what the job says; pytest's exit code."""
    BOOTSTRAP["die_with_parent"]()
    os.register_at_fork(after_in_child=BOOTSTRAP["die_with_parent"])
    # As in a worker: whoever started this ends it, a Ctrl-C at the terminal is not for it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    root = Path(__file__).resolve().parent.parent.parent
    for name in ("impls", "harness"):
        BOOTSTRAP["adopt"](name, root / name)
    from harness.worker.micro_bench import Bench
    from harness.worker.micro_job import read_job

    job = read_job(Path(sys.argv[1]))
    # Before pytest is there: it must not have loaded anything that the framework's import counts.
    bench = Bench(job)
    sys.path.append(job.tools)
    # Plugins that a framework's environment happens to hold are not asked.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    import pytest

    options = QUICK if job.quick else STEADY
    arguments = [
        job.suites,
        f"--rootdir={job.suites}",
        f"--config-file={Path(job.suites) / 'pytest.ini'}",
        *("-p", "no:cacheprovider", "-p", "pytest_benchmark.plugin"),
        *("-v", "-rs", "--tb=short", "--color=no"),
        "--benchmark-quiet",
        "--benchmark-disable-gc",
        "--benchmark-warmup=off",
        *(f"--benchmark-{name}={value}" for name, value in options.items()),
        f"--benchmark-json={job.output}",
        *(("-k", job.select) if job.select else ()),
    ]
    return int(pytest.main(arguments, plugins=[bench]))


if __name__ == "__main__":
    sys.exit(main())
