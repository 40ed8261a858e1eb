"""The chain of sources: each is asked in turn until one holds the dataset, every byte of it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec

from harness.datasets.arrays import digest_of_dataset
from harness.datasets.catalogue import CATALOGUE, Entry, named_entry, read_catalogue
from harness.datasets.download import Limits, Mirrors
from harness.datasets.files import FILE_NAMES, missing_files, most_bytes, read_files
from harness.datasets.prepared import (
    cache_folder,
    discard,
    download_folder,
    folder_state,
    locked,
    prepare,
    prepared_folder,
    prepared_state,
    recorded_digest,
)
from harness.datasets.records import Dataset, DatasetInfo, Progress, Quiet, Source, SourceInfo
from harness.errors import DataError

DATA_DIR_VARIABLE = "LEVELFIELD_DATA"


def find_dataset(
    name: str,
    data_dir: Path | None = None,
    *,
    progress: Progress | None = None,
    limits: Limits | None = None,
    allow_fallback: bool = True,
    catalogue: Path = CATALOGUE,
) -> Dataset:
    """The dataset, verified, with its arrays prepared in the user cache.

    The sources are ``data_dir`` (or else ``LEVELFIELD_DATA``), the user cache, the system's copy
    and the mirrors; last, with ``allow_fallback``, the embedded dataset that stands in for it. An
    embedded dataset has its own folder for its only source.

    Raises:
        UsageError: there is no such dataset.
        DataError: no source has it, or a folder that the user named does not hold it.
    """
    entries = read_catalogue(catalogue)
    entry = named_entry(entries, name)
    search = _Search(progress or Quiet(), limits or Limits())
    found = search.find(entry, _user_folder(entry, data_dir))
    if found is not None:
        return found
    reasons = "; ".join(search.reasons)
    if entry.fallback is None or not allow_fallback:
        raise DataError(
            f"{name} is not to be had ({reasons}): connect to the network, or name a folder that "
            "holds it with --data-dir"
        )
    search.progress.note(f"{name} is not to be had ({reasons}): {entry.fallback} stands in for it")
    substitute = search.find(entries[entry.fallback], None)
    assert substitute is not None
    return msgspec.structs.replace(substitute, fallback_for=name)


def dataset_info(
    name: str, data_dir: Path | None = None, *, catalogue: Path = CATALOGUE
) -> DatasetInfo:
    """Each of the dataset's sources as it is now, all bytes verified; nothing is downloaded.

    Raises:
        UsageError: there is no such dataset.
    """
    entries = read_catalogue(catalogue)
    entry = named_entry(entries, name)
    sources = []
    sha256 = entry.sha256
    folder = _user_folder(entry, data_dir)
    if folder is not None:
        sources.append(_folder_info("data-dir", entry, folder))
    if entry.embedded is None:
        prepared, state = prepared_folder(entry), prepared_state(entry)
        if state == "valid":
            sha256 = sha256 or recorded_digest(prepared)
        detail = "the next search discards it" if state == "damaged" else ""
        sources.append(
            SourceInfo(
                source="cache", dataset=name, place=str(prepared), state=state, detail=detail
            )
        )
    if entry.system is not None:
        sources.append(_folder_info("system", entry, Path(entry.system)))
    sources += [
        SourceInfo(source="download", dataset=name, place=mirror, state="unchecked")
        for mirror in entry.mirrors
    ]
    for embedded in (entry, entries.get(entry.fallback or "")):
        if embedded is not None and embedded.embedded is not None:
            sources.append(_folder_info("embedded", embedded, Path(embedded.embedded)))
    return DatasetInfo(
        name=name,
        sha256=sha256,
        train_examples=entry.train_examples,
        test_examples=entry.test_examples,
        sources=tuple(sources),
    )


class _Search:
    """One search, and why each source that was asked had nothing."""

    def __init__(self, progress: Progress, limits: Limits) -> None:
        self.progress, self.limits = progress, limits
        self.reasons: list[str] = []

    def find(self, entry: Entry, user_folder: Path | None) -> Dataset | None:
        """The dataset from its first good source; nothing, with ``reasons``, where none is."""
        if user_folder is None and prepared_state(entry) == "valid":
            # Without the lock, so that a cache that can be read but not written serves.
            return _cached(entry)
        with locked(cache_folder(entry), entry.name, self.progress):
            if user_folder is not None:
                return self._from_user(entry, user_folder)
            if entry.embedded is not None:
                return self._from_folder(entry, "embedded", Path(entry.embedded))
            return self._from_cache(entry) or self._from_system(entry) or self._fetched(entry)

    def _from_user(self, entry: Entry, folder: Path) -> Dataset:
        try:
            return self._from_folder(entry, "data-dir", folder)
        except DataError as error:
            raise DataError(f"{error}, or leave --data-dir and {DATA_DIR_VARIABLE} out") from None

    def _from_cache(self, entry: Entry) -> Dataset | None:
        """Another process may have filled the cache while this one waited for the lock."""
        state = prepared_state(entry)
        if state == "valid":
            return _cached(entry)
        if state == "damaged":
            folder = prepared_folder(entry)
            self.progress.note(f"The cached copy in {folder} was damaged and has been discarded")
            discard(folder)
        self.reasons.append(f"cache: {state}")
        return None

    def _from_system(self, entry: Entry) -> Dataset | None:
        if entry.system is None:
            return None
        folder = Path(entry.system)
        if len(missing_files(folder)) == len(FILE_NAMES):
            self.reasons.append(f"system: nothing in {folder}")
            return None
        try:
            return self._from_folder(entry, "system", folder)
        except DataError as error:
            self.progress.note(f"The system's copy is passed over: {error}")
            self.reasons.append(f"system: damaged, in {folder}")
            return None

    def _fetched(self, entry: Entry) -> Dataset | None:
        folder = download_folder(entry)
        folder.mkdir(exist_ok=True)
        mirrors = Mirrors(entry.mirrors, self.limits, self.progress)
        hashes = msgspec.structs.asdict(entry.files)
        try:
            for field, name in FILE_NAMES.items():
                mirrors.fetch(f"{name}.gz", hashes[field], folder, most_bytes(entry))
        except DataError:
            self.reasons += [f"{address}: {why}" for address, why in mirrors.failures.items()]
            return None
        prepared = prepare(entry, read_files(folder, entry))
        shutil.rmtree(folder)
        return _dataset(entry, "download", mirrors.useful[0], prepared, recorded_digest(prepared))

    def _from_folder(self, entry: Entry, source: Source, folder: Path) -> Dataset:
        arrays = read_files(folder, entry)
        prepared, sha256 = prepared_folder(entry), digest_of_dataset(*arrays)
        if folder_state(prepared, sha256) != "valid":
            prepare(entry, arrays)
        return _dataset(entry, source, str(folder), prepared, sha256)


def _user_folder(entry: Entry, data_dir: Path | None) -> Path | None:
    """The folder that the user named, or the one in it that has the dataset's name."""
    if entry.embedded is not None:
        return None
    named = data_dir or os.environ.get(DATA_DIR_VARIABLE)
    if not named:
        return None
    try:
        folder = Path(named).expanduser().resolve()
    except RuntimeError:
        raise DataError(
            f"{named} begins with a home folder that there is none of: name the folder in full"
        ) from None
    inner = (folder / name for name in (entry.name, entry.split_of) if name is not None)
    return next((one for one in inner if one.is_dir()), folder)


def _cached(entry: Entry) -> Dataset:
    folder = prepared_folder(entry)
    sha256 = entry.sha256 or recorded_digest(folder)
    if entry.embedded is not None:
        return _dataset(entry, "embedded", entry.embedded, folder, sha256)
    return _dataset(entry, "cache", str(folder), folder, sha256)


def _dataset(entry: Entry, source: Source, place: str, folder: Path, sha256: str) -> Dataset:
    return Dataset(
        name=entry.name,
        source=source,
        place=place,
        folder=str(folder),
        sha256=sha256,
        train_examples=entry.train_examples,
        test_examples=entry.test_examples,
    )


def _folder_info(source: Source, entry: Entry, folder: Path) -> SourceInfo:
    info = SourceInfo(source=source, dataset=entry.name, place=str(folder), state="valid")
    try:
        read_files(folder, entry)
    except DataError as error:
        absent = len(missing_files(folder)) == len(FILE_NAMES)
        state = "missing" if absent else "damaged"
        return msgspec.structs.replace(info, state=state, detail=str(error))
    return info
