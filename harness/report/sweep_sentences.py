"""Where a sweep changes the order of its contenders, in words: from verdicts alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial

from harness.analysis.sweeps import PairAt, Sweep, SweepPair
from harness.report.cast import Cast
from harness.report.formats import count, joined, times
from harness.spec.cells import Cell

MANY_PAIRS = 10
"""More of them would hide those whose order changes."""
NameOf = Callable[[str], str]
"""From a sweep's contender to the name that readers know."""


def contender_name(cast: Cast, sweep: Sweep, contender: str) -> str:
    """What the contender is called in the first of the sweep's groups."""
    for cell, member in cast.members.items():
        known = member.cell
        if known and (known.contender, known.source) == (contender, sweep.input):
            return cast.name(cell)
    return contender


def order_in_words(sweep: Sweep, cast: Cast) -> tuple[str, ...]:
    """One sentence over all pairs, then one for each whose order changes, and one for each other:
    of many others only how many there are."""
    if not sweep.pairs:
        return ()
    if not any(at.verdict for pair in sweep.pairs for at in pair.at):
        return (
            "No pair has a verdict anywhere in this sweep, so whether the order changes is open.",
        )
    name_of = partial(contender_name, cast, sweep)
    changing = [pair for pair in sweep.pairs if pair.order == "changes"]
    others = [pair for pair in sweep.pairs if pair.order != "changes"]
    of_all = count(len(sweep.pairs), "pair")
    if changing:
        which = "" if len(sweep.pairs) == 1 else f" of {len(changing)} of {of_all}"
        first = f"The order{which} changes within the sweep."
    elif all(pair.order == "keeps" for pair in others):
        first = "The order is the same everywhere in the sweep."
    else:
        first = "No order is shown to change; where there is no verdict, that is open."
    return (
        first,
        *(_changing(pair, sweep, name_of) for pair in changing),
        *(
            [_counted(others)]
            if len(others) > MANY_PAIRS
            else [_other(pair, sweep, name_of) for pair in others]
        ),
    )


def swept_in_words(cells: Sequence[Cell]) -> str:
    """``at batch sizes 32 and 256 with 1 and 2 threads``; nothing where there is one of each."""
    by_recipe: defaultdict[str, set[int]] = defaultdict(set)
    for cell in cells:
        by_recipe[cell.recipe.name].add(cell.recipe.batch_size)
    batches = sorted({size for sizes in by_recipe.values() if len(sizes) > 1 for size in sizes})
    threads = sorted({cell.threads for cell in cells})
    parts = [
        f"at batch sizes {joined_numbers(batches)}" if batches else "",
        f"with {threads_in_words(threads)}" if len(threads) > 1 else "",
    ]
    return " ".join(part for part in parts if part)


def places_in_words(sweep: Sweep, at: Sequence[PairAt]) -> str:
    """``at batch 32``, ``with 2 threads``, ``at batch 32 with 1 thread``."""
    places = {(each.batch_size, each.threads) for each in at}
    if len(sweep.batch_sizes) == 1:
        return f"with {threads_in_words([threads for _, threads in sorted(places)])}"
    at_batch: defaultdict[int, list[int]] = defaultdict(list)
    for batch_size, threads in sorted(places):
        at_batch[batch_size].append(threads)
    whole = all(len(own) == len(sweep.threads) for own in at_batch.values())
    return "at " + joined(
        [
            f"batch {batch_size:,}" + ("" if whole else f" with {threads_in_words(own)}")
            for batch_size, own in at_batch.items()
        ]
    )


def threads_in_words(threads: Sequence[int]) -> str:
    """``1 thread``, ``1 and 2 threads``."""
    return (
        count(threads[0], "thread") if len(threads) == 1 else f"{joined_numbers(threads)} threads"
    )


def joined_numbers(numbers: Sequence[int]) -> str:
    """``32, 256 and 1,024``."""
    return joined([f"{each:,}" for each in numbers])


def _changing(pair: SweepPair, sweep: Sweep, name_of: NameOf) -> str:
    ahead = [each for each in pair.at if each.verdict == "faster"]
    behind = [each for each in pair.at if each.verdict == "slower"]
    one, other = name_of(pair.contender), name_of(pair.against)
    return (
        f"{one} is faster than {other} {places_in_words(sweep, ahead)} "
        f"({_ratios([each.times_faster for each in ahead])}), and {other} is faster "
        f"{places_in_words(sweep, behind)} "
        f"({_ratios([1 / each.times_faster if each.times_faster else None for each in behind])})"
        f"{_rest(pair, sweep)}."
    )


def _other(pair: SweepPair, sweep: Sweep, name_of: NameOf) -> str:
    one, other = name_of(pair.contender), name_of(pair.against)
    settled = [each for each in pair.at if each.verdict in ("faster", "slower")]
    ratios = [each.times_faster for each in settled]
    if any(each.verdict == "slower" for each in settled):
        one, other = other, one
        ratios = [1 / ratio if ratio else None for ratio in ratios]
    if not settled:
        return f"{one} and {other}: neither is shown to be the faster one{_rest(pair, sweep)}."
    where = "everywhere" if pair.order == "keeps" else places_in_words(sweep, settled)
    return f"{one} is faster than {other} {where} ({_ratios(ratios)}){_rest(pair, sweep)}."


def _counted(pairs: Sequence[SweepPair]) -> str:
    kept = sum(pair.order == "keeps" for pair in pairs)
    return (
        f"Of the others {count(kept, 'pair')} keep their order everywhere, and of "
        f"{len(pairs) - kept:,} no order is shown at some combination."
    )


def _rest(pair: SweepPair, sweep: Sweep) -> str:
    """What is known of the places at which neither is faster; nothing where there are none."""
    equivalent = [each for each in pair.at if each.verdict == "equivalent"]
    open_ = [each for each in pair.at if each.verdict in (None, "inconclusive")]
    parts = [
        f"equivalent {places_in_words(sweep, equivalent)}" if equivalent else "",
        f"open {places_in_words(sweep, open_)}" if open_ else "",
    ]
    said = "; ".join(part for part in parts if part)
    return f"; {said}" if said else ""


def _ratios(ratios: Sequence[float | None]) -> str:
    """``1.31×``, ``1.12× to 1.31×``."""
    known = sorted(ratio for ratio in ratios if ratio)
    few, most = times(known[0]), times(known[-1])
    return few if few == most else f"{few} to {most}"
