"""Reproduction: the published figures of a recipe beside ours, over seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from harness.analysis.curves import curves_by_cell
from harness.analysis.reproduction import (
    LEAST_SEEDS,
    TAKEN_OFF,
    OverSeeds,
    ReproducedEpoch,
    Reproduction,
    reproductions,
)
from harness.report.formats import NOTHING, accuracy, count
from harness.report.page import (
    Block,
    Column,
    Datum,
    Details,
    Heading,
    Items,
    Paragraph,
    Section,
    Table,
    Tone,
)
from harness.report.sections.learning import figure_of_seeds
from harness.report.sections.story import Story
from harness.report.spreads import accuracy_bounds, accuracy_spread, loss, loss_spread
from harness.spec.manifest import Group

PLATEAU_EPOCHS = 1.0
"""Seeds that have not taken off by then are worth an explanation."""

PLATEAU = (
    "A network of sigmoids begins on a plateau. Each sigmoid passes on at most a quarter of a "
    "gradient, so the layers before the last hardly move at first, and the last one can only learn "
    "how frequent the classes are: the accuracy stays near 10 % and the loss near ln 10 = 2.303, "
    "which is guessing (Glorot and Bengio, 2010, describe it). Then it takes off within a fraction "
    "of an epoch; when, is decided by initial weights and order, and a large rate can keep a seed "
    "there for good. So at the end of an early epoch a seed is either still guessing or well on "
    "its way, with little between: a median says little there, and a normal distribution nothing."
)

Quantity = Callable[[ReproducedEpoch], OverSeeds]


def reproduction_section(story: Story) -> Section | None:
    """Per epoch: median and range of our seeds, the published value, and whether it lies inside."""
    if not story.has_seeds:
        return None
    found = reproductions(story.run)
    blocks: list[Block] = []
    for group in story.cast.groups:
        own = [each for each in found if each.group == group.name]
        if own:
            blocks += [*story.heading(group), *_group_blocks(story, group, own)]
    if any(one.on_plateau(PLATEAU_EPOCHS) for one in found):
        blocks += [Heading(text="Why seeds fall into clusters"), Paragraph(text=PLATEAU)]
    return Section(
        id="reproduction",
        title="Reproduction",
        lead="Every contender trained the whole recipe with several seeds: other initial weights, "
        "another order. Shown is the median, and in brackets from where to where the seeds go. A "
        "published figure is one run; it is held against that range at each epoch, and at the last "
        "one against the 95 % prediction interval for one new run.",
        blocks=tuple(blocks),
    )


def inside_in_words(
    story: Story, own: Sequence[Reproduction], found: Sequence[bool | None]
) -> Datum:
    """For how many of the contenders the published value is inside: all, none, or which."""
    judged = [(each, inside) for each, inside in zip(own, found, strict=True) if inside is not None]
    if not judged:
        return Datum(NOTHING, "quiet")
    names = [story.cast.name(each.cell) for each, inside in judged if inside]
    if len(names) == len(judged):
        how_many = {1: "yes", 2: "yes, both"}
        return Datum(how_many.get(len(judged), f"yes, all {len(judged)}"), "good")
    return Datum(f"only {', '.join(names)}" if names else "no", "doubt")


def _group_blocks(story: Story, group: Group, own: Sequence[Reproduction]) -> Iterator[Block]:
    learned = curves_by_cell(story.run)
    yield _epoch_table(
        story, own, "Test accuracy after each epoch", lambda epoch: epoch.compared_test_accuracy,
        accuracy_spread, accuracy,
    )  # fmt: skip
    yield from _whole_batches(story, own)
    training = (
        _epoch_table(
            story, own, "Training accuracy, mean over each epoch",
            lambda epoch: epoch.train_accuracy, accuracy_spread, accuracy,
        ),
        _epoch_table(
            story, own, "Training loss, mean over each epoch, nats",
            lambda epoch: epoch.train_loss, loss_spread, loss,
        ),
    )  # fmt: skip
    published = own[0].published
    if published and published.train_accuracy:
        yield from training
    else:
        yield Details(summary="Training accuracy and training loss", blocks=training)
    yield _last_epoch_table(story, own)
    if published:
        changed = "" if own[0].comparable else (
            " This run changed the recipe: the figures are shown, and nothing is held against them."
        )  # fmt: skip
        text = f"Published: {published.source}; {published.hardware}.{changed}"
    else:
        text = "No figures are published for this recipe."
    yield Paragraph(text=text, tone="quiet")
    yield figure_of_seeds(story, group, {each.cell: learned[group.name, each.cell] for each in own})
    yield from _plateau(story, own)


def _epoch_table(
    story: Story,
    own: Sequence[Reproduction],
    caption: str,
    quantity: Quantity,
    in_words: Callable[[Sequence[float | None]], str],
    one_in_words: Callable[[float | None], str],
) -> Table:
    """One row an epoch: what is published, whether inside, each contender's median and range.

    The first two only where something is published.
    """
    by_epoch = [{each.epoch: quantity(each) for each in one.epochs} for one in own]
    epochs = sorted({epoch for each in by_epoch for epoch in each})
    has_published = any(each.published is not None for of in by_epoch for each in of.values())
    rows = []
    for epoch in epochs:
        cells = [each.get(epoch) for each in by_epoch]
        row = [Datum(f"{epoch}")]
        if has_published:
            printed = next((each.published for each in cells if each and each.published), None)
            inside = [each.inside_range if each else None for each in cells]
            row += [Datum(one_in_words(printed), strong=True), inside_in_words(story, own, inside)]
        row += [Datum(in_words(each.by_seed) if each else NOTHING) for each in cells]
        rows.append(tuple(row))
    return Table(
        caption=caption,
        columns=(
            Column("Epoch", number=True),
            *((Column("Published", number=True), Column("In the range")) if has_published else ()),
            *(Column(story.marked_name(one.cell), number=True) for one in own),
        ),
        rows=tuple(rows),
        note=f"Median ({count(max(len(one.seeds) for one in own), 'seed')}), in brackets the "
        "lowest and the highest seed.",
    )


def _last_epoch_table(story: Story, own: Sequence[Reproduction]) -> Table:
    """Test accuracy at the last epoch, by the source's arithmetic, with its prediction interval."""
    rows = []
    for one in own:
        last = one.epochs[-1].compared_test_accuracy
        inside = last.inside_prediction_interval
        word, tone = _YES_OR_NO[inside]
        rows.append(
            (
                story.contender(one.cell),
                Datum(f"{last.seeds}"),
                Datum(f"{len(one.guessing)}", "doubt" if one.guessing else "plain"),
                Datum(accuracy(last.median)),
                Datum(accuracy_bounds(last.prediction_interval)),
                Datum(accuracy(last.published), strong=True),
                Datum(word, tone),
            )
        )
    return Table(
        caption=f"Test accuracy after the last epoch ({own[0].epochs[-1].epoch})",
        columns=(
            Column("Contender"),
            Column("Seeds", number=True),
            Column("Still guessing", number=True),
            Column("Median", number=True),
            Column("95 % prediction interval", number=True),
            Column("Published", number=True),
            Column("Inside"),
        ),
        rows=tuple(rows),
        note="For one new run: mean ± t · s · √(1 + 1/n) over the n seeds that are not guessing "
        f"any more (Whitmore, 1986), from {LEAST_SEEDS} on. At earlier epochs seeds fall into "
        "clusters, where no such interval holds. A printed figure is known to its last digit: it "
        "is inside if a value that rounds to it is.",
    )


_YES_OR_NO: dict[bool | None, tuple[str, Tone]] = {
    True: ("yes", "good"),
    False: ("no", "doubt"),
    None: (NOTHING, "quiet"),
}


def _whole_batches(story: Story, own: Sequence[Reproduction]) -> Iterator[Block]:
    """Both arithmetics, where the source's is not the right one."""
    published = own[0].published
    size = published.whole_batches_of if published else None
    if not size:
        return
    yield Paragraph(
        text=f"The source divides its hits by whole batches of {size}, as if the last batch of the "
        "test set were as large as the others: its accuracies are a little too low. The table "
        "above computes as the source does, so that like is held against like; the right figures, "
        "hits ÷ images, are these:"
    )
    yield _epoch_table(
        story, own, "Test accuracy after each epoch, hits ÷ images",
        lambda epoch: epoch.test_accuracy, accuracy_spread, accuracy,
    )  # fmt: skip


def _plateau(story: Story, own: Sequence[Reproduction]) -> Iterator[Block]:
    """When each seed took off, where some took more than an epoch."""
    late = [one for one in own if one.on_plateau(PLATEAU_EPOCHS)]
    if not late:
        return
    yield Items(items=tuple(_takeoff_in_words(story, one) for one in late))
    seeds = list(dict.fromkeys(each.seed for one in own for each in one.takeoffs))
    yield Details(
        summary="When each seed took off",
        blocks=(
            Table(
                caption=f"Epochs until training accuracy passed {TAKEN_OFF * 100:.0f} %",
                columns=(
                    Column("Contender"),
                    *(Column(f"Seed {seed}", number=True) for seed in seeds),
                ),
                rows=tuple(
                    (
                        story.contender(one.cell),
                        *(
                            _takeoff_datum({each.seed: each.epoch for each in one.takeoffs}, seed)
                            for seed in seeds
                        ),
                    )
                    for one in own
                ),
                note="At the end of the window that did: read at a few points an epoch.",
            ),
        ),
    )


def _takeoff_datum(epochs: dict[int, float | None], seed: int) -> Datum:
    if seed not in epochs:
        return Datum(NOTHING, "quiet")
    epoch = epochs[seed]
    return Datum("never", "doubt") if epoch is None else Datum(f"{epoch:.1f}")


def _takeoff_in_words(story: Story, one: Reproduction) -> str:
    """When its seeds took off, and how many had not at the end of each epoch."""
    known = [each.epoch for each in one.takeoffs if each.epoch is not None]
    first, last = (f"{end:.1f}" for end in (min(known, default=0), max(known, default=0)))
    when = f"seeds took off after {first if first == last else f'{first} to {last}'} epochs"
    never = len(one.takeoffs) - len(known)
    still = [
        f"{waiting} of {len(one.takeoffs)} after epoch {each.epoch}"
        for each in one.epochs
        if (waiting := one.on_plateau(each.epoch)) > never
    ]
    parts = [
        when if known else "",
        f"still on the plateau were {', '.join(still)}" if still else "",
        f"{never} never took off" if never else "",
    ]
    return f"{story.cast.name(one.cell)}: {'; '.join(part for part in parts if part)}."
