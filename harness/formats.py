"""``docs/formats.md``: the JSON Schema of everything that is stored, sent or answered.

Generated from the typed records and their docstrings by ``tox -e formats``; a test keeps the file
in step.
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from pathlib import Path
from typing import Any, get_args

import msgspec

from harness.analysis.check import CheckJudgement
from harness.analysis.history import HistoryPoint
from harness.commands.baselines import SavedBaseline
from harness.commands.doctor import Diagnosis
from harness.commands.export import ExportAnswer
from harness.commands.gate import GateAnswer
from harness.commands.history import HistoryAnswer
from harness.commands.listings import ListedModel, ListedRun
from harness.commands.micro_results import MicroAnswer
from harness.commands.new_impl import StarterFiles
from harness.commands.power import PowerAnswer
from harness.commands.results import ComparisonAnswer, RunAnswer, VerificationAnswer
from harness.commands.seeds import SeedsAnswer
from harness.commands.sensitivity import SensitivityAnswer
from harness.commands.show import ModelAnswer
from harness.commands.tax import TaxAnswer
from harness.datasets.records import Dataset, DatasetInfo
from harness.environments.records import EnvironmentInfo, SyncedEnvironment
from harness.report.headlines import Headline
from harness.spec.baselines import Baseline
from harness.spec.events import FORMAT_VERSION, AnyEvent, Manifest
from harness.spec.exports import BencherMetric, GithubBenchmark, WindowRow
from harness.spec.frames import FRAMES, columns
from harness.spec.implementations import Implementation
from harness.spec.micro import MicroFile, MicroManifest
from harness.spec.recipes import Recipe
from harness.spec.suites import Suite
from harness.worker.wire import Command, Message
from impls.definition import Model

INTRODUCTION = f"""# Formats

Generated from the typed records (`tox -e formats` writes it anew); a test keeps it in step.

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
    ("levelfield baseline save --json, check --json", "", (SavedBaseline, CheckJudgement)),
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
        lead = inspect.cleandoc(row.__doc__ or "").split("\n\n")[0].replace("\n", " ")
        parts += [f"### {name}\n", f"{lead}\n", "| column | type | |", "|---|---|---|"]
        for each in columns(row):
            text = texts.get(each.name, "").replace("|", "\\|").replace("``", "`")
            words = f"{text} May be missing." if each.optional else text
            parts.append(f"| `{each.name}` | {each.dtype} | {words.strip()} |")
        parts[-1] += "\n"
    return "\n".join(parts)


def formats_document() -> str:
    """The whole document, in Markdown."""
    parts = [INTRODUCTION, frames_document()]
    for title, lead, records in SECTIONS:
        parts.append(f"## {title}\n")
        if lead:
            parts.append(f"{lead}\n")
        for record in records:
            schema = msgspec.json.format(msgspec.json.encode(described_schema(record)), indent=1)
            heading = record.__name__
            parts.append(
                f"<details><summary><code>{heading}</code></summary>\n\n"
                f"```json\n{schema.decode()}\n```\n\n</details>\n"
            )
    return "\n".join(parts)


def described_schema(record: Any) -> dict[str, Any]:
    """The JSON Schema (2020-12) of ``record``, each field with its docstring for a description."""
    (reference,), components = msgspec.json.schema_components(
        [record], ref_template="#/$defs/{name}"
    )
    for kind in _struct_types(msgspec.inspect.type_info(record)):
        component = components.get(kind.__name__, {})
        for field, text in field_docstrings(kind).items():
            if field in component.get("properties", {}):
                component["properties"][field]["description"] = text
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **reference,
        "$defs": components,
    }


def field_docstrings(kind: type) -> dict[str, str]:
    """Field → the string literal that follows its declaration, base classes included."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if base.__module__.split(".")[0] not in {"harness", "impls"}:
            continue
        [definition] = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(definition, ast.ClassDef)
        for line, following in zip(definition.body, definition.body[1:], strict=False):
            match line, following:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    found[name] = inspect.cleandoc(text).replace("\n", " ")
    return found


def _struct_types(info: Any, seen: set[type] | None = None) -> set[type]:
    """All record types that ``info`` leads to."""
    seen = set() if seen is None else seen
    if isinstance(info, msgspec.inspect.StructType):
        if info.cls in seen:
            return seen
        seen.add(info.cls)
        for field in info.fields:
            _struct_types(field.type, seen)
    for name in ("types", "item_types"):
        for part in getattr(info, name, ()):
            _struct_types(part, seen)
    for name in ("item_type", "key_type", "value_type"):
        if hasattr(info, name):
            _struct_types(getattr(info, name), seen)
    return seen


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(formats_document(), encoding="utf-8")
