"""What a user sees while a run goes on, on a terminal and without one."""

from collections.abc import Iterator

import msgspec
import pytest

from harness.commands.board import Standings
from harness.commands.progress import RunProgress
from harness.console import Console
from harness.report.cast import cast_of
from harness.spec.cells import Cell
from harness.spec.events import BlockFinished, TrialFinished, TrialStarted, Window
from harness.spec.machine import Machine
from harness.spec.manifest import Group, Manifest, Plan
from harness.spec.proof_events import Hashes
from harness.spec.recipes import Recipe
from impls.adapter import Sgd

RECIPE = Recipe(
    name="lenet-sgd",
    model="lenet",
    dataset="d",
    batch_size=10,
    epochs=1,
    init="xavier",
    optimizer=Sgd(learning_rate=0.9),
)
CELLS = tuple(
    Cell(recipe=RECIPE, framework=name, version="1", mode="eager", threads=1)
    for name in ("one", "two")
)
GROUP = Group(name=CELLS[0].group, cells=tuple(cell.id for cell in CELLS), title="The group")
MANIFEST = Manifest(
    run="r",
    created="2025-10-09T09:33:20Z",
    levelfield="0",
    command=("levelfield",),
    git_commit=None,
    machine=Machine(cpu="c", cores=1, memory_bytes=1, kernel="k"),
    environments=(),
    cells=CELLS,
    titles={"one": "One", "two": "Two"},
    plan=Plan(
        suite="s",
        groups=(GROUP,),
        looks=(2,),
        rounds=2,
        window_steps=10,
        lead_in_steps=2,
        long_trials=False,
        aa=True,
        seed=0,
    ),
    datasets=(),
    worker_environment={},
)


def started(trial: int, cell: Cell, *, twin: bool = False) -> TrialStarted:
    return TrialStarted(
        at=0.0,
        trial=trial,
        block=1,
        group=GROUP.name,
        cell=cell.id,
        twin=twin,
        long=False,
        seed=0,
    )


def window(trial: int, round_: int, seconds: float) -> Window:
    return Window(
        at=0.0,
        trial=trial,
        round=round_,
        position=0,
        first_step=0,
        steps=10,
        examples=100,
        wall_seconds=seconds,
        cpu_seconds=seconds,
        lead_in_steps=2,
        lead_in_seconds=0.0,
        partial_steps=0,
        partial_seconds=0.0,
        stage_seconds=0.0,
        loss_sum=1.0,
        correct=1,
        trained_examples=120,
        minor_faults=0,
        major_faults=0,
        involuntary_switches=0,
        steal_seconds=0.0,
        load=0.0,
        frequency_mhz=None,
        waiting_seconds=0.0,
        waiting_cpu_seconds=0.0,
        control_seconds=0.01,
    )


def block(first_trial: int, ratios: tuple[float, float]) -> Iterator[TrialStarted | Window]:
    """Two rounds in which ``two`` runs at these multiples of the rate of ``one``."""
    yield started(first_trial, CELLS[0])
    yield started(first_trial + 1, CELLS[1])
    yield started(first_trial + 2, CELLS[0], twin=True)
    for round_, ratio in enumerate(ratios):
        yield window(first_trial, round_, 1.0)
        yield window(first_trial + 1, round_, 1.0 / ratio)
        yield window(first_trial + 2, round_, 1.0)


def finished(first_trial: int, number: int) -> BlockFinished:
    trials = tuple(range(first_trial, first_trial + 3))
    return BlockFinished(at=0.0, block=number, group=GROUP.name, long=False, trials=trials)


def test_the_board_says_who_is_at_what_rate_and_how_pairs_stand_so_far() -> None:
    standings = Standings(cast_of(MANIFEST))

    def see(first_trial: int, ratios: tuple[float, float]) -> None:
        standings.begin(GROUP)
        for event in block(first_trial, ratios):
            if isinstance(event, TrialStarted):
                standings.start(event)
            else:
                standings.see(event)

    see(0, (2.0, 2.0))
    board = standings.board("title", "note")
    assert (board.title, board.note) == ("title", "note")
    assert board.rows == [
        ("One", "100", "reference"),
        ("Two", "200", "2.0×, this block alone"),
        ("One, second copy", "100", "1.000×, this block alone"),
    ]
    standings.finish()
    see(3, (2.42, 2.42))
    standings.finish()
    # The logs are ln 2 and ln 2.42: mean ln 2.2, SD 0.1348, and t of one degree of freedom 12.706.
    assert standings.board("", "").rows[1][2] == "2.2× [0.7, 7.4], 2 blocks"


def test_a_block_without_the_reference_adds_nothing() -> None:
    standings = Standings(cast_of(MANIFEST))
    standings.begin(GROUP)
    standings.start(started(0, CELLS[1]))
    standings.see(window(0, 0, 0.5))
    standings.finish()
    assert standings.board("", "").rows == [("Two", "200", "")]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the progress reads as the time, in seconds: its last number."""
    times = [0.0]
    monkeypatch.setattr("harness.commands.progress.time.monotonic", lambda: times[-1])
    return times


def test_a_run_that_goes_on_knows_how_much_is_left(
    capsys: pytest.CaptureFixture[str], clock: list[float]
) -> None:
    plan = msgspec.structs.replace(MANIFEST.plan, looks=(10,))
    progress = RunProgress(Console(), msgspec.structs.replace(MANIFEST, plan=plan))
    progress.block(GROUP, 8, long=False)
    for event in block(0, (2.0, 2.0)):
        progress.see(event)
    clock.append(120.0)
    progress.see(finished(0, 8))
    assert "block 8 of 10" in (shown := capsys.readouterr().err)
    assert "; about 4 min left" in shown


def test_whole_recipes_say_how_long_all_seeds_take(
    capsys: pytest.CaptureFixture[str], clock: list[float]
) -> None:
    plan = msgspec.structs.replace(MANIFEST.plan, long_trials=True, seeds=(0, 1, 2), looks=(0,))
    progress = RunProgress(Console(), msgspec.structs.replace(MANIFEST, plan=plan))
    for number, left in ((0, "; about 20 min left"), (1, "; about 10 min left"), (2, "")):
        progress.block(GROUP, number, long=True)
        clock.append(clock[-1] + 600.0)
        for event in block(3 * number, (2.0, 2.0)):
            progress.see(event)
        progress.see(msgspec.structs.replace(finished(3 * number, number), long=True))
        assert capsys.readouterr().err.strip().endswith(f"(A/A) 100{left}")


@pytest.mark.parametrize("terminal", [True, False])
def test_only_a_terminal_has_the_board(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1" if terminal else "0")
    monkeypatch.setenv("COLUMNS", "120")
    console = Console()
    progress = RunProgress(console, MANIFEST)
    progress.block(GROUP, 1, long=False)
    for event in block(0, (2.0, 2.0)):
        progress.see(event)
    shown = capsys.readouterr().err
    if terminal:
        assert "The group: block 1 of 2, round 2 of 2" in shown
        assert "2.0×, this block alone" in shown
        assert "No verdicts: those come after block 2." in shown
    else:
        assert shown == ""
    progress.see(finished(0, 1))
    console.result("done")
    shown = capsys.readouterr().err
    assert "block 1 of 2, examples/s: one-1/eager 100, two-1/eager 200" in shown
    assert ("\x1b[?25h" in shown) == terminal  # the cursor is back


def test_a_setting_without_effect_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    progress = RunProgress(Console(), MANIFEST)
    for trial, cell in enumerate(CELLS):
        progress.see(started(trial, cell))
        progress.see(
            TrialFinished(
                at=0.0,
                trial=trial,
                phases={},
                hashes=Hashes(data="", weights="", order=""),
                steps=1,
                peak_memory_bytes=1,
                device="cpu",
                threads={},
                effects={"SOME_THRESHOLD": "it is as it was", "OTHER": ""},
            )
        )
    said = capsys.readouterr().err.splitlines()
    assert said == ["Warning: SOME_THRESHOLD took no effect in one-1/eager: it is as it was"]
