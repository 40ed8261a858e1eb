"""``docs/formats.md`` and ``docs/formats/``: everything that is stored, sent or answered.

The page has a table for each record, the folder a JSON Schema. Both are generated from the typed
records and their docstrings by ``tox -e formats``; a test keeps them in step.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, get_args

import msgspec

from harness.analysis.history import HistoryPoint
from harness.commands.baselines import CheckAnswer, SavedBaseline
from harness.commands.doctor import Diagnosis
from harness.commands.export import ExportAnswer
from harness.commands.gate import GateAnswer
from harness.commands.history import HistoryAnswer
from harness.commands.listings import ListedModel, ListedRun
from harness.commands.micro_results import MicroAnswer
from harness.commands.new_impl import StarterFiles
from harness.commands.outlook import DryRunAnswer
from harness.commands.power import PowerAnswer
from harness.commands.results import ComparisonAnswer, RunAnswer, VerificationAnswer
from harness.commands.seeds import SeedsAnswer
from harness.commands.sensitivity import SensitivityAnswer
from harness.commands.show import ModelAnswer
from harness.commands.tax import TaxAnswer
from harness.datasets.records import Dataset, DatasetInfo
from harness.environments.records import EnvironmentInfo, SyncedEnvironment
from harness.report.headlines import Headline
from harness.schemas import (
    described_schema,
    field_docstrings,
    heading,
    lead,
    markdown_words,
    record_table,
    record_types,
)
from harness.spec.baselines import Baseline
from harness.spec.events import FORMAT_VERSION, AnyEvent
from harness.spec.exports import BencherMetric, GithubBenchmark, WindowRow
from harness.spec.frames import FRAMES, columns
from harness.spec.implementations import Implementation
from harness.spec.manifest import Manifest
from harness.spec.micro import MicroFile, MicroManifest
from harness.spec.recipes import Recipe
from harness.spec.suites import Suite
from harness.worker.wire import Command, Message
from impls.definition import Model

INTRODUCTION = f"""# Formats

Each record has a table here, and what is stored, sent or answered a JSON Schema in
[formats/](formats/), which has the bounds of numbers too. Both are generated from the typed records
(`tox -e formats` writes them anew); a test keeps them in step.

A run is a folder, `results/runs/<run-id>/`: `run.json` says what was planned and on what machine,
`trials.jsonl` what was seen, one event a line, written as it happens. Both carry a format version,
now {FORMAT_VERSION}; readers ignore fields that they don't know, refuse a version that they don't
know by name, and leave out a last line that was torn by a kill. Only raw values are stored: rates,
ratios and verdicts are computed anew by every reader. `logs/` holds what the workers printed,
`inputs/`, until the run has ended, the initial weights and the batch order (both follow from the
seeds).

Times are seconds, sizes bytes, losses nats. Where a number is not finite there is `null`.
"""

SECTIONS: tuple[tuple[str, str, tuple[Any, ...]], ...] = (
    ("run.json", "The manifest, written before the first measurement.", (Manifest,)),
    ("trials.jsonl", "One of these a line, told apart by `event`.", get_args(AnyEvent)),
    (
        "Wire, conductor to worker",
        "JSON lines on a pipe of their own, told apart by `type`.",
        get_args(Command),
    ),
    ("Wire, worker to conductor", "Likewise, on another pipe.", get_args(Message)),
    ("impl.toml", "Of an implementation; `name` and `folder` follow from where it is.",
     (Implementation,)),
    ("benchmarks/recipes.toml", "Each table is one of these, its name the table's.", (Recipe,)),
    ("benchmarks/models.toml", "Likewise.", (Model,)),
    ("benchmarks/suites/*.toml", "Each file is one of these, its name the file's.", (Suite,)),
    (
        "levelfield run --json, reproduce --json, report --json",
        "The first of one run, the second of several.",
        (RunAnswer, ComparisonAnswer),
    ),
    (
        "levelfield verify --json",
        "The second with `--seeds`.",
        (VerificationAnswer, SeedsAnswer),
    ),
    ("levelfield run --dry-run --json", "As of compare and reproduce.", (DryRunAnswer,)),
    ("levelfield gate --json", "", (GateAnswer,)),
    ("levelfield tax --json", "", (TaxAnswer,)),
    (
        "results/runs/<run-id>/micro.json",
        "Beside `run.json`, where a run has micro-benchmarks.",
        (MicroManifest,),
    ),
    (
        "results/runs/<run-id>/micro/<framework>.json",
        "pytest-benchmark's own; what is read of it.",
        (MicroFile,),
    ),
    ("levelfield micro --json", "", (MicroAnswer,)),
    ("levelfield doctor --json", "", (Diagnosis,)),
    ("levelfield power --json", "", (PowerAnswer,)),
    ("levelfield sensitivity --json", "", (SensitivityAnswer,)),
    ("results/baselines/*.json", "What `baseline save` keeps of each run.", (Baseline,)),
    ("levelfield baseline save --json, check --json", "", (SavedBaseline, CheckAnswer)),
    ("levelfield history --json", "", (HistoryAnswer,)),
    (
        "levelfield export --format csv, parquet, github, bmf",
        "A row of the tables; an entry of the list of the third; and of the last, whose keys are "
        "cells and measures, a metric.",
        (WindowRow, GithubBenchmark, BencherMetric),
    ),
    ("levelfield export --json", "", (ExportAnswer,)),
    (
        "levelfield list … --json",
        "Lists: of implementations, recipes and suites as above, of models and runs as here.",
        (ListedModel, ListedRun),
    ),
    ("levelfield show --json", "", (ModelAnswer,)),
    ("levelfield new-impl --json", "", (StarterFiles,)),
    ("reports/<run-id>/headline.json", "What the list of reports reads of each.", (Headline,)),
    ("levelfield env … --json", "Lists, of `sync` and of `list`.",
     (SyncedEnvironment, EnvironmentInfo)),
    ("levelfield data … --json", "Of `fetch` and of `info`.", (Dataset, DatasetInfo)),
)  # fmt: skip


SCHEMA = ".schema.json"
"""How the name of a record's file ends, in the folder beside the page."""

FRAMES_LEAD = """What `levelfield.read_run` and `levelfield.read_history` give: see
[notebook.md](notebook.md). Units are suffixes; losses are nats, accuracies fractions. `category`
are words that repeat themselves, `string` others. The last column says where a value may
be missing."""


def frames_document() -> str:
    """The columns of all data frames, in Markdown."""
    parts = ["## Data frames\n", f"{FRAMES_LEAD}\n"]
    rows: dict[str, type[msgspec.Struct]] = {**FRAMES, "read_history(cell)": HistoryPoint}
    for name, row in rows.items():
        texts = field_docstrings(row)
        parts += [f"### {name}\n", f"{lead(row)}\n", "| column | type | |", "|---|---|---|"]
        for each in columns(row):
            text = markdown_words(texts.get(each.name, ""))
            words = f"{text} May be missing." if each.optional else text
            parts.append(f"| `{each.name}` | {each.dtype} | {words.strip()} |")
        parts[-1] += "\n"
    return "\n".join(parts)


def formats_document() -> str:
    """The whole page, in Markdown."""
    parts = [INTRODUCTION, frames_document()]
    whole = [record for _, _, records in SECTIONS for record in records]
    for title, words, records in SECTIONS:
        parts.append(f"## {title}\n")
        if words:
            parts.append(f"{words}\n")
        parts += [_record_document(record, f"formats/{schema_name(record)}") for record in records]
    parts.append("## Parts of these\n")
    inside = sorted(set(record_types(whole)) - set(whole), key=lambda kind: kind.__name__)
    return "\n".join([*parts, *map(_record_document, inside)])


def _record_document(record: type[msgspec.Struct], schema: str = "") -> str:
    """A record's heading, what it is, and its table; with a link to its schema, if it has one."""
    link = f" [JSON Schema]({schema})" if schema else ""
    return f"### {heading(record)}\n\n{lead(record)}{link}\n\n{record_table(record)}\n"


def schema_name(record: type) -> str:
    """The file that has the record's schema."""
    return record.__name__ + SCHEMA


def schema_files() -> dict[str, str]:
    """Name → content of each file in the folder beside the page."""
    return {
        schema_name(record): msgspec.json.format(
            msgspec.json.encode(described_schema(record)), indent=1
        ).decode()
        + "\n"
        for _, _, records in SECTIONS
        for record in records
    }


def write_formats(page: Path) -> None:
    """``page`` is today's, and so is the folder of its name beside it, with nothing else in it."""
    page.write_text(formats_document(), encoding="utf-8")
    folder = page.with_suffix("")
    folder.mkdir(exist_ok=True)
    files = schema_files()
    for old in folder.glob(f"*{SCHEMA}"):
        if old.name not in files:
            old.unlink()
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    write_formats(Path(sys.argv[1]))
