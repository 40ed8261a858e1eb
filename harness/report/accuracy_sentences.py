"""What long trials over several seeds say, in words: convergence and reproduction."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.convergence import LEAST_SEEDS, Convergence
from harness.analysis.reproduction import Reproduction
from harness.analysis.rules import MOST_VALUES
from harness.report.cast import Cast
from harness.report.formats import accuracy, count, p_value
from harness.report.page import Tone, VerdictLine
from harness.report.spreads import accuracy_bounds, points, points_bounds

TONES: dict[str, Tone] = {
    "equivalent": "good",
    "different": "bad",
    "inconclusive": "doubt",
    "too few seeds": "quiet",
    "not comparable": "bad",
    "reproduced": "good",
    "not reproduced": "doubt",
}


def convergence_word(convergence: Convergence) -> str:
    """One of ``TONES``."""
    if convergence.word is not None:
        return convergence.word
    return convergence.reason.replace("_", " ")


def convergence_lines(pairs: Sequence[Convergence], cast: Cast) -> tuple[VerdictLine, ...]:
    """One for each pair; or one for all where all have too few seeds."""
    if len(pairs) < 2 or {each.reason for each in pairs} != {"too_few_seeds"}:
        return tuple(convergence_line(each, cast) for each in pairs)
    label = cast.label(cast.group(pairs[0].group))
    most = max(len(each.seeds) for each in pairs)
    word = convergence_word(pairs[0])
    return (
        VerdictLine(
            word=word,
            tone=TONES[word],
            sentence=f"Whether contenders train {label} to the same accuracy needs at least "
            f"{LEAST_SEEDS} seeds that both of a pair have finished; here it is {most}.",
            evidence="",
        ),
    )


def convergence_line(convergence: Convergence, cast: Cast) -> VerdictLine:
    """Whether the two train to the same accuracy, as a sentence."""
    one, other = cast.name(convergence.cell), cast.name(convergence.against)
    label = cast.label(cast.group(convergence.group))
    word = convergence_word(convergence)
    seeds = count(len(convergence.seeds), "seed")
    apart = f"{one} is at {points(convergence.difference)} points"
    if convergence.interval:
        apart += f" {points_bounds(convergence.interval)}"
    if convergence.reason == "not_comparable":
        sentence = f"{one} and {other} are not compared on {label}: no proof holds for the pair."
    elif convergence.reason == "too_few_seeds":
        learned = " and with which one of them learns" if convergence.both_guessing else ""
        sentence = (
            f"Whether {one} and {other} train {label} to the same accuracy needs at least "
            f"{LEAST_SEEDS} seeds that both have finished{learned}; here it is "
            f"{len(convergence.seeds)}."
        )
    elif convergence.word == "equivalent":
        same = all(each == 0 for each in convergence.differences)
        how = "it is the same in every seed" if same else apart
        sentence = (
            f"{other} and {one} train {label} to the same test accuracy within ±0.5 points: {how}, "
            f"over {seeds}."
        )
    elif convergence.word == "different":
        sentence = (
            f"{other} and {one} do not train {label} to the same test accuracy: {apart}, over "
            f"{seeds}."
        )
    else:
        sentence = (
            f"Whether {other} and {one} train {label} to the same test accuracy is open: {apart}, "
            f"over {seeds}; {_more_seeds(convergence)}."
        )
    return VerdictLine(
        word=word, tone=TONES[word], sentence=sentence, evidence=_of_convergence(convergence)
    )


def _more_seeds(convergence: Convergence) -> str:
    needed = convergence.seeds_to_settle or 0
    if needed > MOST_VALUES:
        return f"more than {MOST_VALUES:,} seeds would be needed to settle it"
    more = max(1, needed - len(convergence.seeds))
    return f"about {count(more, 'more seed')} would settle it"


def _of_convergence(convergence: Convergence) -> str:
    guessing = len(convergence.both_guessing)
    left_out = f"{count(guessing, 'seed')} left out, with which both only guess" if guessing else ""
    if convergence.word is None:
        return convergence.detail or left_out
    tests = (
        "two one-sided tests at α = .05 for this pair, paired by seed; 90 % interval in brackets"
    )
    p = p_value(convergence.p_difference_adjusted)
    parts = [tests, f"difference {p} after Holm" if p else "", left_out]
    return "; ".join(part for part in parts if part)


def reproduction_lines(reproduction: Reproduction, cast: Cast) -> tuple[VerdictLine, ...]:
    """Whether the published test accuracy of the last epoch could be one of our runs.

    Nothing where it can't be held against anything.
    """
    if not reproduction.epochs:
        return ()
    last = reproduction.epochs[-1]
    found = last.compared_test_accuracy
    inside = found.inside_prediction_interval
    if inside is None or found.prediction_interval is None:
        return ()
    name = cast.name(reproduction.cell)
    label = cast.label(cast.group(reproduction.group))
    word = "reproduced" if inside else "not reproduced"
    judged = [each.compared_test_accuracy.inside_range for each in reproduction.epochs]
    known = [each for each in judged if each is not None]
    guessing = len(reproduction.guessing)
    return (
        VerdictLine(
            word=word,
            tone=TONES[word],
            sentence=f"{name} {'reproduces' if inside else 'does not reproduce'} {label}: "
            f"{accuracy(found.published)} is published after epoch {last.epoch}, and one new run "
            f"is expected within {accuracy_bounds(found.prediction_interval)}.",
            evidence=f"95 % prediction interval over {count(found.prediction_seeds, 'seed')}, "
            f"median of all {accuracy(found.median)}; in the seeds' range at {sum(known)} of "
            f"{count(len(known), 'epoch')}"
            + (f"; {guessing} of {found.seeds} never got beyond guessing" if guessing else ""),
        ),
    )


def learning_order(found: Sequence[Reproduction], pairs: Sequence[Convergence]) -> str:
    """What long trials over several seeds come to, in two sentences."""
    last = [each.epochs[-1].compared_test_accuracy for each in found if each.epochs]
    judged = [each.inside_prediction_interval for each in last]
    known = [each for each in judged if each is not None]
    if known:
        by = f" by {_how_many(sum(known), len(known))}" if len(known) > 1 else ""
        first = f"The published accuracy is {'' if by or known[0] else 'not '}reproduced{by}."
    elif any(each.published is not None for each in last):
        first = "Nothing is held against the published figures: too few seeds, or another recipe."
    else:
        first = "No figures are published for this recipe."
    words = [each.word for each in pairs if each.word]
    if not words:
        return first
    equivalent = words.count("equivalent")
    if equivalent == len(words):
        return f"{first} All contenders converge to the same accuracy."
    pairs_in_words = f"{equivalent or 'none'} of {count(len(words), 'pair')}"
    return f"{first} Converging to the same accuracy is shown for {pairs_in_words}."


def _how_many(some: int, all_of_them: int) -> str:
    if some == all_of_them:
        return f"all {all_of_them} contenders"
    return f"{some or 'none'} of {all_of_them} contenders"
