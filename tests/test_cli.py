"""The command line as users meet it: listings, answers as JSON, and one clear line for mistakes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from harness import __version__, paths

pytestmark = pytest.mark.heavy


def levelfield(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        env={**os.environ, "PYTHONPATH": str(paths.ROOT), **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("what", ["frameworks", "models", "recipes", "suites", "runs"])
def test_listings_are_tables_and_json(what):
    plain = levelfield("list", what)
    assert plain.returncode == 0
    assert plain.stdout.strip()
    assert isinstance(json.loads(levelfield("list", what, "--json").stdout), list)


def models() -> dict[str, dict]:
    return {one["name"]: one for one in json.loads(levelfield("list", "models", "--json").stdout)}


def test_models_are_listed_with_parameters_flops_and_shapes():
    lenet = models()["lenet"]
    assert lenet["parameters"] == 44_426
    # 2 · (24²·6·25 + 8²·16·150 + 256·120 + 120·84 + 84·10), by hand.
    assert lenet["forward_flops"] == 563_280
    # Three times that, without the gradient by the image: 2 · 24²·6·25.
    assert lenet["training_flops"] == 3 * 563_280 - 172_800
    assert lenet["layers"][-1] == {
        "name": "dense3", "kind": "dense", "output_shape": [10], "parameters": 850,
        "forward_flops": 1680, "layers": [], "shortcut": [],
    }  # fmt: skip


def test_layers_that_hold_others_are_listed_with_their_insides():
    resnet = models()["resnet18"]
    blocks = [layer for layer in resnet["layers"] if layer["kind"] == "residual"]
    assert len(blocks) == 8
    widening = blocks[2]
    assert widening["output_shape"] == [128, 12, 12]
    assert [layer["kind"] for layer in widening["layers"]] == [
        "conv", "batch_norm", "relu", "conv", "batch_norm",
    ]  # fmt: skip
    assert [layer["name"] for layer in widening["shortcut"]] == ["stage2.block1.shortcut"]
    inside = [*widening["layers"], *widening["shortcut"]]
    for what in ("parameters", "forward_flops"):
        assert widening[what] == sum(layer[what] for layer in inside)
        assert resnet[what] == sum(layer[what] for layer in resnet["layers"])


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("lenet", "1×28×28 12 0.044 0.56 1.52"),
        ("lenet-avg", "1×28×28 12 0.062 0.83 2.26"),
        ("alexnet", "1×224×224 21 46.765 1,876.29 5,561.13"),
    ],
)
def test_the_table_of_models_is_in_millions(model, expected):
    lines = [line.split() for line in levelfield("list", "models").stdout.splitlines()]
    assert [line[1:] for line in lines if line[0] == model] == [expected.split()]


def test_version():
    assert levelfield("--version").stdout == f"levelfield {__version__}\n"


def test_help_names_every_command():
    text = levelfield("--help").stdout
    commands = (
        "run", "verify", "reproduce", "report", "list", "show", "new-impl", "env", "data",
        "baseline", "check", "history", "export", "micro",
    )  # fmt: skip
    assert all(f"\n  {name} " in text for name in commands)


def test_run_takes_every_selection_flag():
    text = levelfield("run", "--help", COLUMNS="120").stdout
    flags = (
        "-f -r --mode --input --loader-workers --device --threads --batch-size --settings "
        "--dataset --data-dir --seed --epochs --blocks --budget --no-aa --reference --impl-dir "
        "--resume --out --json"
    )
    assert all(re.search(rf"^  {flag}[ ,]", text, re.MULTILINE) for flag in flags.split())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["run", "cup"],
            "'cup', expected one of cpu, frameworks, gate, gpu, smoke, zoo: did you mean cpu?",
        ),
        (["run", "-f", "pytroch"], "did you mean pytorch?"),
        (["run", "-r", "lenet"], "No recipe 'lenet', expected one of"),
        (["run", "--mode", "jit"], "No framework has the mode jit, expected one of"),
        (
            ["run", "--input", "disk"],
            "--input is 'disk', expected one of resident, loader, pipeline",
        ),
        (["run", "--loader-workers", "2"], "--loader-workers is 2 where no loader is measured"),
        (["verify", "--blocks", "3"], "No such option: --blocks"),
        (["reproduce", "lenet"], "No recipe 'lenet', expected one of"),
        (["reproduce", "--seeds", "0"], "Invalid value for '--seeds'"),
        (["reproduce", "--seed", "4294967295"], "leads beyond 4294967295, expected no larger seed"),
        (["show", "lenett"], "No model 'lenett', expected one of"),
        (["show", "lenet", "-f", "pytroch"], "did you mean pytorch?"),
        (["new-impl", "My Framework"], "'My Framework' is no name for an implementation"),
        (["new-impl", "keras"], "There is an implementation of the name keras"),
        (["new-impl", "mine", "--impl-dir", "/proc"], "/proc/mine can't be written"),
        (["run", "--device", "tpu"], "--device is 'tpu', expected cpu, gpu or gpu:N"),
        (["run", "--threads", "0"], "--threads is '0', expected a whole number from 1 on"),
        (["run", "--threads", "1,,2"], "--threads is '1,,2', expected a whole number from 1 on"),
        (["run", "--threads", "1,9999"], "--threads is 9999, expected at most "),
        (["verify", "--batch-size", "x"], "--batch-size is 'x', expected a whole number from 1 on"),
        (["reproduce", "--threads", "1,2"], "--threads is 1,2, expected one number here"),
        (["gate", "--base", "HEAD", "--threads", "1,2"], "--threads is 1,2, expected one number"),
        (["gate", "--base", "HEAD", "--batch-size", "8"], "No such option: --batch-size"),
        (["tax", "--batch-size", "8"], "No such option: --batch-size"),
        (["run", "--budget", "soon"], "--budget is 'soon', expected a time such as"),
        (["run", "--settings", "mine"], "--settings is 'mine', expected one of matched, stock"),
        (["run", "--dataset", "cifar"], "No dataset is named 'cifar', expected one of"),
        (["run", "--data-dir", "/nowhere"], "/nowhere"),
        (["run", "--impl-dir", "/nowhere"], "--impl-dir /nowhere holds no implementation"),
        (["run", "--resume", "nothing"], "No run in nothing"),
        (["compare"], "Nothing stands alone, expected two or more: name what to compare with"),
        (["compare", "--resume", "nothing"], "No run in nothing"),
        (["report", "nothing"], "No run in nothing"),
        (["list", "things"], "No list of 'things', expected one of"),
        (["env", "remove", "nothing"], "No environment nothing"),
        (["data", "info", "cifar"], "No dataset is named 'cifar'"),
        (["run", "--epochs", "none"], "--epochs"),
        (["micro", "--fail", "median"], "--fail is 'median', expected FIELD:PERCENT% or"),
        (["micro", "--run", "nothing"], "No run in nothing"),
        (["micro", "--resume", "nothing"], "No run in nothing"),
        (["micro", "--resume", "a", "--run", "b"], "--resume a and --run b are given, expected"),
        (["micro", "--compare", "nothing"], "nothing has no micro-benchmarks, expected those"),
        (["micro", "-f", "pytroch"], "did you mean pytorch?"),
        (["micro", "-f", "keras", "-f", "keras@3.0"], "keras is named 2 times, expected once"),
        (["micro", "--settings", "stock", "--settings", "matched"], "--settings is stock and"),
        (["micro", "--batch", "0"], "Invalid value for '--batch'"),
        (["micro", "--blocks", "3"], "No such option: --blocks"),
        (["nonsense"], "nonsense"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments, expected, tmp_path):
    done = levelfield(*arguments)
    assert done.returncode == 2
    lines = [line for line in done.stderr.splitlines() if line]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("levelfield: ")
    assert expected in lines[0]
    assert done.stdout == ""


def test_without_a_gpu_the_gpu_suite_says_so_and_downloads_nothing():
    done = levelfield("run", "gpu")
    if done.returncode == 0:
        pytest.skip("there is a GPU here")
    assert done.returncode == 2
    assert "No GPU found for --device gpu" in done.stderr
