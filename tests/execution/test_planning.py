from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import paths
from harness.errors import UsageError
from harness.execution.planning import (
    Choice,
    Installed,
    affordable_blocks,
    cells_of,
    check_batches,
    chosen_implementations,
    chosen_modes,
    chosen_recipes,
    groups_of,
    in_pairs,
    looks_of,
    paced,
    without_input,
)
from harness.spec.cells import Cell
from harness.spec.implementations import GpuLimits, Implementation, read_implementations
from harness.spec.manifest import Group
from harness.spec.recipes import read_recipes
from harness.spec.selection import FrameworkChoice, GivenPython, Selection
from harness.spec.suites import Override, Suite, read_suites

SUITE = Suite(name="s", description="", recipes=("lenet-sgd",), frameworks=("beta", "alpha"))
RECIPES = read_recipes(paths.BENCHMARKS / "recipes.toml")


def implementation(name: str, role: str = "framework", *modes: str) -> Implementation:
    return Implementation(
        name=name, folder="", title=name.title(), package=name, role=role, python=("3.11",),
        default_mode="eager", modes=dict.fromkeys(modes or ("eager", "compiled"), ""),
        memory_mib=100,
    )  # fmt: skip


KNOWN = {
    one.name: one
    for one in (
        implementation("alpha"),
        implementation("beta"),
        implementation("gamma", "framework", "eager", "xla"),
        implementation("oracle", "oracle"),
    )
}


def names(choices: list[Choice]) -> list[str]:
    return [choice.implementation.name for choice in choices]


def test_the_suite_names_the_reference_and_others_follow():
    assert names(chosen_implementations(SUITE, Selection(), KNOWN)) == ["beta", "alpha", "gamma"]


def test_a_folder_more_of_our_own_changes_no_suite_that_names_its_contenders():
    folder = str(paths.IMPLS.resolve() / "delta")
    ours = msgspec.structs.replace(implementation("delta"), folder=folder)
    known = {"delta": ours, **KNOWN}

    def chosen(**changes: object) -> list[str]:
        suite = msgspec.structs.replace(SUITE, **changes)
        return names(chosen_implementations(suite, Selection(), known))

    assert chosen() == ["beta", "alpha", "gamma"]
    assert chosen(every_framework=True) == ["beta", "alpha", "delta", "gamma"]
    assert chosen(frameworks=()) == ["delta", "alpha", "beta", "gamma"]
    by_name = Selection(frameworks=(FrameworkChoice("delta"),))
    assert names(chosen_implementations(SUITE, by_name, known)) == ["delta"]


@pytest.mark.parametrize("name", read_suites(paths.BENCHMARKS / "suites"))
def test_a_suite_measures_what_it_lists_or_every_framework(name):
    suite = read_suites(paths.BENCHMARKS / "suites")[name]
    known = read_implementations(paths.IMPLS)
    found = names(chosen_implementations(suite, Selection(), known))
    assert found[:1] == ["pytorch"]
    if name == "frameworks":
        assert set(found) == {one.name for one in known.values() if one.role == "framework"}
    else:
        assert found == ["pytorch", "gluon", "keras"]


def test_the_command_line_chooses_frameworks_in_its_own_order():
    selection = Selection(frameworks=(FrameworkChoice.parse("gamma@1.2"), FrameworkChoice("beta")))
    choices = chosen_implementations(SUITE, selection, KNOWN)
    assert names(choices) == ["gamma", "beta"]
    assert choices[0].version == "1.2"


@pytest.mark.parametrize("name", ["alhpa", "oracle"])
def test_an_unknown_framework_is_refused_with_what_there_is(name):
    with pytest.raises(UsageError, match="expected one of alpha, beta, gamma"):
        chosen_implementations(SUITE, Selection(frameworks=(FrameworkChoice(name),)), KNOWN)


def test_interpreters_alone_choose_the_frameworks():
    both = (GivenPython("gamma", "new", "/x"), GivenPython("beta", "", "/y"))
    oracle = GivenPython("oracle", "", "/z")
    choices = chosen_implementations(SUITE, Selection(pythons=(*both, oracle)), KNOWN)
    asked = [(each.implementation.name, each.version) for each in choices]
    assert asked == [("gamma", "new"), ("beta", None)]
    assert len(chosen_implementations(SUITE, Selection(pythons=(oracle,)), KNOWN)) == 3


@pytest.mark.parametrize(
    ("asked", "given", "word"),
    [
        ("beta", GivenPython("gamma", "", "/x"), "gamma"),
        ("gamma", GivenPython("gamma", "new", "/x"), "gamma@new"),
        ("gamma@1.2", GivenPython("gamma", "", "/x"), "gamma"),
        ("gamma", GivenPython("oracle", "new", "/x"), "oracle@new"),
    ],
)
def test_an_interpreter_that_would_do_nothing_is_refused(asked, given, word):
    selection = Selection(frameworks=(FrameworkChoice.parse(asked),), pythons=(given,))
    with pytest.raises(UsageError, match=f"--python {word} is for nobody .*, expected one for"):
        chosen_implementations(SUITE, selection, KNOWN)


def test_a_choice_knows_the_interpreter_that_it_was_given():
    one = msgspec.structs.replace(KNOWN["gamma"], pythons={"": "/x", "new": "/y"})
    seen = [Choice(one, asked).interpreter for asked in (None, "new", "1.2")]
    assert seen == ["/x", "/y", None]
    assert Choice(KNOWN["gamma"], None).interpreter is None


def test_a_versions_own_plus_is_none_of_a_recipes():
    """Each has a part of its own in a cell's id: one is told from the other, and from a label."""
    [plain] = chosen_recipes(SUITE, Selection(), RECIPES)
    [changed] = chosen_recipes(SUITE, Selection(epochs=3), RECIPES)
    one = Choice(KNOWN["gamma"], None)
    builds = [
        Installed(one, "2.11.0+cu130"), Installed(one, "2.11.0"), Installed(one, "2.11.0", "cu130"),
        Installed(one, "2.11.0+cu130", "new"),
    ]  # fmt: skip
    modes = {"gamma": ["eager"]}
    cells = cells_of([plain, changed], builds, modes, Selection(), "cpu", [2])
    assert len({cell.id for cell in cells}) == len({cell.contender for cell in cells}) * 2 == 8
    assert [cell.id.split("/")[:2] for cell in cells[:4:3]] == [
        ["lenet-sgd", "gamma-2.11.0+cu130"],
        ["lenet-sgd", "gamma-2.11.0+cu130~new"],
    ]
    assert {cell.series for cell in cells} == {
        f"{label}/gamma/eager/resident/cpu-2t" for label in ("lenet-sgd", "lenet-sgd+epochs=3")
    }
    assert [group.name.split("/")[0] for group in groups_of(cells, None)] == [
        "lenet-sgd", "lenet-sgd+epochs=3",
    ]  # fmt: skip


def test_overrides_make_another_recipe():
    [plain] = chosen_recipes(SUITE, Selection(), RECIPES)
    [changed] = chosen_recipes(SUITE, Selection(epochs=3), RECIPES)
    assert (plain.label, changed.label) == ("lenet-sgd", "lenet-sgd+epochs=3")
    assert changed.epochs == 3
    [same] = chosen_recipes(SUITE, Selection(epochs=plain.epochs), RECIPES)
    assert same == plain


def test_another_dataset_loses_the_published_figures():
    [changed] = chosen_recipes(SUITE, Selection(dataset="fashion-mnist-20k"), RECIPES)
    assert changed.label == "lenet-sgd+dataset=fashion-mnist-20k"
    assert changed.published is None


def test_a_mode_that_one_framework_lacks_is_left_out_with_the_reason():
    modes, left_out = chosen_modes(SUITE, Selection(modes=("xla",)), KNOWN.values(), "cpu")
    assert modes["gamma"] == ["xla"]
    assert modes["alpha"] == []
    assert ("alpha xla", "Alpha has no mode xla") in left_out


def test_two_revisions_are_measured_in_the_bases_modes():
    base = implementation("alpha")
    head = msgspec.structs.replace(base, default_mode="compiled")
    modes, left_out = chosen_modes(SUITE, Selection(), [base, head], "cpu")
    assert (modes, left_out) == ({"alpha": ["eager"]}, [])
    without = msgspec.structs.replace(head, modes={"compiled": ""})
    with pytest.raises(UsageError, match="Alpha has no mode eager, expected a mode that both"):
        chosen_modes(SUITE, Selection(), [base, without], "cpu")
    modes, left_out = chosen_modes(SUITE, Selection(), [base, without, KNOWN["beta"]], "cpu")
    assert modes == {"alpha": [], "beta": ["eager"]}
    assert [each.reason for each in left_out] == ["Alpha has no mode eager"]


def test_a_device_has_a_default_mode_of_its_own():
    limits = GpuLimits(
        cuda="1.0", least_driver="1", machine_code=(), memory_mib=1, default_mode="compiled"
    )
    on_gpu = msgspec.structs.replace(KNOWN["alpha"], gpu=limits)
    both = [on_gpu, KNOWN["beta"]]
    modes = {device: chosen_modes(SUITE, Selection(), both, device)[0] for device in ("cpu", "gpu")}
    assert modes["cpu"] == {"alpha": ["eager"], "beta": ["eager"]}
    assert modes["gpu"] == {"alpha": ["compiled"], "beta": ["eager"]}


def test_on_a_gpu_what_can_runs_compiled_by_default_and_the_suite_has_both_modes():
    frameworks = [
        each for each in read_implementations(paths.IMPLS).values() if each.role == "framework"
    ]
    compiled = [each for each in frameworks if "compiled" in each.modes]
    assert {each.default_mode_on("gpu:0") for each in compiled} == {"compiled"}
    suite = read_suites(paths.BENCHMARKS / "suites")["gpu"]
    modes, left_out = chosen_modes(suite, Selection(), frameworks, "gpu")
    both = ("compiled", "eager")
    assert modes == {one.name: [m for m in both if m in one.modes] for one in frameworks}
    assert all(set(both) <= set(modes[name]) for name in suite.frameworks)
    assert left_out == []


def test_cells_without_a_partner_are_left_out():
    recipe = RECIPES["lenet-sgd"]
    one, two, alone = (
        Cell(recipe=recipe, framework=name, version=version, mode="eager", threads=2)
        for name, version in (("alpha", "1"), ("alpha", "2"), ("beta", "1"))
    )
    cells, left_out = in_pairs([one, two, alone])
    assert cells == [one, two]
    assert [each.what for each in left_out] == [alone.id]
    with pytest.raises(UsageError, match=r"beta-1/eager.* would each stand alone"):
        in_pairs([alone])


def test_a_mode_that_nobody_has_is_refused():
    with pytest.raises(UsageError, match="No framework has the mode fit"):
        chosen_modes(SUITE, Selection(modes=("fit",)), KNOWN.values(), "cpu")


def test_cells_and_groups():
    versions = [
        Installed(Choice(KNOWN["alpha"], None), "1"),
        Installed(Choice(KNOWN["beta"], None), "2"),
    ]
    modes = {"alpha": ["eager", "compiled"], "beta": ["eager"]}
    selection = Selection(settings=("matched", "stock"))
    recipes = [RECIPES["lenet-sgd"], RECIPES["lenet-adam"]]
    cells = cells_of(recipes, versions, modes, selection, "cpu", (2,))
    assert len(cells) == len({cell.id for cell in cells}) == 12
    assert cells[0].id == "lenet-sgd/alpha-1/eager/resident/cpu-2t"
    assert any(cell.id.endswith("cpu-2t-stock") for cell in cells)
    groups = groups_of(cells, None)
    assert [len(group.cells) for group in groups] == [6, 6]
    for_beta = groups_of(cells, "beta")
    assert all("beta-2/eager" in group.cells[0] for group in for_beta)
    with pytest.raises(UsageError, match="No contender 'delta' for --reference"):
        groups_of(cells, "delta")


def test_on_a_gpu_stock_contenders_are_never_alive_beside_matched_ones():
    versions = [Installed(Choice(KNOWN[name], None), "1") for name in ("alpha", "beta")]
    modes = {"alpha": ["eager"], "beta": ["eager"]}
    selection = Selection(settings=("matched", "stock"))
    recipes = [RECIPES["lenet-sgd"]]

    def grouped(device, reference=None):
        cells = cells_of(recipes, versions, modes, selection, device, (2,))
        return {group.name: group.cells for group in groups_of(cells, reference)}

    assert [len(cells) for cells in grouped("cpu").values()] == [4]
    on_gpu = grouped("gpu:1")
    assert {name: len(cells) for name, cells in on_gpu.items()} == {
        "lenet-sgd/resident/gpu:1-2t": 2,
        "lenet-sgd/resident/gpu:1-2t-stock": 2,
    }
    for name, cells in on_gpu.items():
        assert all(cell.endswith("-stock") == name.endswith("-stock") for cell in cells)
    for reference in ("beta", "beta/eager", "beta-1/eager"):
        for cells in grouped("gpu", reference).values():
            assert "beta-1/eager" in cells[0]


def test_a_suite_may_change_a_recipe_and_its_windows():
    suite = msgspec.structs.replace(
        SUITE, overrides={"lenet-sgd": Override(batch_size=16, rounds=3, window_steps=2)}
    )
    recipes = chosen_recipes(suite, Selection(recipes=("lenet-sgd", "lenet-adam")), RECIPES)
    assert [one.label for one in recipes] == ["lenet-sgd+batch_size=16", "lenet-adam"]
    versions = [Installed(Choice(KNOWN["alpha"], None), "1")]
    cells = cells_of(recipes, versions, {"alpha": ["eager"]}, Selection(), "cpu", (2,))
    changed, plain = paced(groups_of(cells, None), cells, suite, {"fashion-mnist": 60_000}, RECIPES)
    assert (changed.rounds, changed.window_steps) == (3, 2)
    assert (plain.rounds, plain.window_steps) == (None, None)


def test_windows_of_so_many_examples_have_more_steps_where_batches_are_small():
    recipe = RECIPES["lenet-sgd"]
    cells = cells_of(
        [recipe, recipe.overridden(batch_size=32)],
        [Installed(Choice(KNOWN["alpha"], None), "1")],
        {"alpha": ["eager"]},
        Selection(),
        "cpu",
        (2,),
    )
    suite = msgspec.structs.replace(SUITE, window_examples=5120)
    large, small = paced(groups_of(cells, None), cells, suite, {"fashion-mnist": 60_000}, RECIPES)
    assert (large.window_steps, small.window_steps) == (20, 160)


SWEEP = Selection(batch_sizes=(32, 256), threads=(1, 2))


def swept(
    selection: Selection = SWEEP, suite: Suite = SUITE, *, paired: bool = False
) -> tuple[list[Cell], list[Group]]:
    """All combinations of a selection in two contenders, and their groups with windows."""
    cells = cells_of(
        chosen_recipes(suite, selection, RECIPES),
        [Installed(Choice(KNOWN[name], None), "1") for name in ("alpha", "beta")],
        {"alpha": ["eager"], "beta": ["eager"]},
        selection,
        "cpu",
        selection.threads,
    )
    groups = groups_of(cells, None, paired=paired)
    return cells, paced(groups, cells, suite, {"fashion-mnist": 60_000}, RECIPES)


def test_every_combination_of_batch_and_threads_is_a_cell_and_compared_by_itself():
    cells, groups = swept()
    assert len({cell.id for cell in cells}) == len(cells) == 8
    assert [group.name for group in groups] == [
        "lenet-sgd+batch_size=32/resident/cpu-1t",
        "lenet-sgd+batch_size=32/resident/cpu-2t",
        "lenet-sgd/resident/cpu-1t",
        "lenet-sgd/resident/cpu-2t",
    ]
    assert {len(group.cells) for group in groups} == {2}


def test_a_training_is_made_whole_once_for_each_batch_with_the_most_threads():
    # Whatever the order in which they are named.
    for threads in ((1, 2), (2, 1)):
        _, groups = swept(msgspec.structs.replace(SWEEP, threads=threads))
        assert {group.name.split("/")[0] for group in groups if group.long_trials} == {
            "lenet-sgd",
            "lenet-sgd+batch_size=32",
        }
        assert all(group.name.endswith("2t") for group in groups if group.long_trials)
    _, groups = swept(paired=True)
    assert [group.long_trials for group in groups] == [False, False, True, True] * 2


def test_a_window_of_another_batch_has_as_many_examples_as_one_of_the_usual():
    def steps(**changes: object) -> list[int | None]:
        selection = Selection(batch_sizes=(32, 256, 1024, 8192), threads=(2,))
        return [each.window_steps for each in swept(selection, _changed(**changes))[1]]

    assert steps() == [160, None, 5, 1]
    assert steps(window_examples=5120) == [160, 20, 5, 1]
    # What a suite says of a recipe is for the suite's own batch.
    own = {"lenet-sgd": Override(batch_size=1024, window_steps=8, rounds=3)}
    assert steps(overrides=own) == [256, 32, 8, 1]


def _changed(**changes: object) -> Suite:
    return msgspec.structs.replace(SUITE, **changes)


def test_the_batch_of_the_command_line_goes_before_the_suites():
    suite = _changed(overrides={"lenet-sgd": Override(batch_size=64)})
    [own] = chosen_recipes(suite, Selection(), RECIPES)
    assert own.label == "lenet-sgd+batch_size=64"
    asked = chosen_recipes(suite, Selection(batch_sizes=(256, 16)), RECIPES)
    assert [each.label for each in asked] == ["lenet-sgd", "lenet-sgd+batch_size=16"]


def test_a_batch_that_leaves_no_window_in_an_epoch_is_refused():
    recipe = RECIPES["lenet-sgd"]
    fits = recipe.overridden(batch_size=20_000)
    check_batches([recipe, fits], {"fashion-mnist": 60_000})
    with pytest.raises(UsageError, match="--batch-size is 20001, expected at most 20000"):
        check_batches([recipe.overridden(batch_size=20_001)], {"fashion-mnist": 60_000})


def test_a_window_is_never_longer_than_an_epoch():
    cells = cells_of(
        [RECIPES["lenet-sgd"]],
        [Installed(Choice(KNOWN["alpha"], None), "1")],
        {"alpha": ["eager"]},
        Selection(),
        "gpu",
        (2,),
    )
    suite = msgspec.structs.replace(SUITE, window_steps=200)
    [whole] = paced(groups_of(cells, None), cells, suite, {"fashion-mnist": 60_000}, RECIPES)
    assert whole.window_steps is None
    # 78 whole batches, two of them in the lead-in.
    [part] = paced(groups_of(cells, None), cells, suite, {"fashion-mnist": 20_000}, RECIPES)
    assert part.window_steps == 76


@pytest.mark.parametrize("kind", ["loader", "pipeline"])
def test_loaders_have_a_group_of_their_own_with_windows_of_half_an_epoch(kind):
    both = msgspec.structs.replace(KNOWN["beta"], inputs=("resident", kind))
    versions = [Installed(Choice(KNOWN["alpha"], None), "1"), Installed(Choice(both, None), "2")]
    selection = Selection(inputs=("resident", kind), loader_workers=2)
    modes = {"alpha": ["eager"], "beta": ["eager"]}
    cells = cells_of([RECIPES["lenet-sgd"]], versions, modes, selection, "cpu", (2,))
    assert [cell.id for cell in cells] == [
        "lenet-sgd/alpha-1/eager/resident/cpu-2t",
        "lenet-sgd/beta-2/eager/resident/cpu-2t",
        f"lenet-sgd/beta-2/eager/{kind}-2w/cpu-2t",
    ]
    resident, loader = paced(
        groups_of(cells, None), cells, SUITE, {"fashion-mnist": 60_000}, RECIPES
    )
    assert (len(resident.cells), len(loader.cells)) == (2, 1)
    assert resident.window_steps is None
    # Two windows, each after its two lead-in steps, are the 234 whole batches of an epoch.
    assert (loader.rounds, loader.window_steps) == (2, 115)


def test_an_input_that_a_framework_lacks_is_left_out_with_the_reason():
    both = msgspec.structs.replace(KNOWN["beta"], inputs=("resident", "loader"))
    selection = Selection(inputs=("resident", "loader"))
    [left_out] = without_input(selection, [KNOWN["alpha"], both])
    assert left_out == ("alpha loader", "Alpha has no input loader")
    with pytest.raises(UsageError, match="No framework has the input loader"):
        without_input(selection, [KNOWN["alpha"]])


def test_looks():
    assert looks_of(SUITE, Selection()) == (10, 20)
    assert looks_of(SUITE, Selection(blocks=7)) == (7,)


@given(st.floats(1, 1e5), st.floats(0, 1e5), st.floats(0.1, 1e4))
def test_a_budget_allows_at_least_the_block_that_was_measured(budget, spent, block):
    assert affordable_blocks(budget, spent, block) >= 1
