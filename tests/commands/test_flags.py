"""The selection flags, from the command line to a ``Selection``."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from harness.commands.flags import Flags, takes_flags
from harness.errors import UsageError
from harness.spec.selection import FrameworkChoice, Selection


def parsed(*arguments: str, left_out: tuple[str, ...] = ()) -> tuple[str, Flags]:
    """What a command with the flags was called with."""
    calls = []
    app = typer.Typer()

    @app.command()
    @takes_flags(*left_out)
    def measure(flags: Flags, what: str = "everything") -> None:
        calls.append((what, flags))

    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, done.output
    return calls[0]


def test_without_flags_everything_is_the_suites_to_say():
    assert parsed() == ("everything", Flags())
    assert Flags().selection() == Selection()


def test_every_flag_arrives():
    what, flags = parsed(
        "--what", "this", "-f", "one@1.2", "-f", "two", "-r", "lenet-sgd", "--mode", "eager",
        "--mode", "xla", "--input", "loader", "--input", "resident", "--loader-workers", "2",
        "--device", "gpu:1", "--threads", "3,1", "--threads", "1",
        "--batch-size", "32, 256", "--settings", "stock", "--dataset", "mnist",
        "--data-dir", "data", "--seed", "4", "--epochs", "5", "--blocks", "6", "--budget", "1.5m",
        "--no-aa", "--reference", "two", "--impl-dir", "mine", "--resume", "run", "--out", "there",
        "--json",
    )  # fmt: skip
    assert what == "this"
    assert flags.selection() == Selection(
        frameworks=(FrameworkChoice("one", "1.2"), FrameworkChoice("two")),
        recipes=("lenet-sgd",),
        modes=("eager", "xla"),
        inputs=("loader", "resident"),
        loader_workers=2,
        device="gpu:1",
        threads=(3, 1),
        batch_sizes=(32, 256),
        settings=("stock",),
        dataset="mnist",
        data_dir="data",
        seed=4,
        epochs=5,
        blocks=6,
        budget_seconds=90.0,
        aa=False,
        reference="two",
        impl_dirs=("mine",),
    )
    assert (flags.resume, flags.out, flags.json) == ("run", Path("there"), True)


def test_a_flag_that_is_left_out_is_no_option_and_keeps_its_default():
    assert parsed("--epochs", "3", left_out=("blocks", "seed"))[1] == Flags(epochs=3)
    with pytest.raises(AssertionError, match="No such option: --blocks"):
        parsed("--blocks", "3", left_out=("blocks", "seed"))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (Flags(device="gpu:one"), "--device is 'gpu:one', expected cpu, gpu or gpu:N"),
        (Flags(input=["disk"]), "--input is 'disk', expected one of resident, loader, pipeline"),
        (Flags(settings=["best"]), "--settings is 'best', expected one of matched, stock"),
        (Flags(budget="10"), "--budget is '10', expected a time such as 90s, 10m or 1h"),
        (Flags(timeout="never"), "--timeout is 'never', expected a time such as 90s, 10m or 1h"),
        (Flags(timeout="0s"), "--timeout is '0s', expected a time"),
        (Flags(budget="9" * 400 + "h"), "expected a time such as 90s, 10m or 1h, a year at most"),
        (Flags(framework=["one@"]), "-f is 'one@', expected NAME or NAME@VERSION"),
        (Flags(framework=["@1.0"]), "-f is '@1.0', expected NAME or NAME@VERSION"),
        (Flags(framework=[""]), "-f is '', expected NAME or NAME@VERSION"),
        (Flags(loader_workers=1), "--loader-workers is 1 where no loader is measured"),
        (Flags(threads=["0"]), "--threads is '0', expected a whole number from 1 on"),
        (Flags(threads=["1,,2"]), "--threads is '1,,2', expected a whole number from 1 on"),
        (Flags(batch_size=["32", "x"]), "--batch-size is 'x', expected a whole number from 1 on"),
    ],
)
def test_a_word_that_is_none_is_refused(flags, message):
    with pytest.raises(UsageError, match=message):
        flags.selection()


def test_a_command_that_goes_through_no_threads_takes_one_number_of_them():
    app = typer.Typer()

    @app.command()
    @takes_flags(one_number_of_threads=True)
    def measure(flags: Flags) -> None:
        assert flags.selection().threads == (2,)

    assert CliRunner().invoke(app, ["--threads", "2", "--threads", "2"]).exit_code == 0
    for several in (["--threads", "1,2"], ["--threads", "1", "--threads", "2"]):
        refused = CliRunner().invoke(app, several).exception
        assert isinstance(refused, UsageError)
        assert str(refused).startswith("--threads is 1,2, expected one number here")
