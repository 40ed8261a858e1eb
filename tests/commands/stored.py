"""Made-up runs as they would lie on disk."""

from __future__ import annotations

from pathlib import Path

import msgspec

from harness.spec.events import Window
from harness.spec.manifest import Run
from harness.store.run_writer import RunWriter


def store(run: Run, folder: Path, /, **changes: object) -> Path:
    """The run's folder below ``folder``; ``changes`` are of its manifest."""
    manifest = msgspec.structs.replace(run.manifest, **changes)
    with RunWriter.create(folder / "results" / "runs" / manifest.run, manifest) as writer:
        for event in run.events[1:]:
            writer.append_event(event)
    return writer.folder


def slowed(run: Run, factor: float) -> Run:
    """Every window takes ``factor`` times as long, and the control as long as before."""
    events = [
        msgspec.structs.replace(event, wall_seconds=factor * event.wall_seconds)
        if isinstance(event, Window)
        else event
        for event in run.events
    ]
    return Run(manifest=run.manifest, events=events)
