"""A dataset of the real form, small enough for tests, with a catalogue of its own."""

from __future__ import annotations

import gzip
import hashlib
import json
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.datasets.arrays import Arrays, digest_of_dataset
from harness.datasets.files import FILE_NAMES


def idx_bytes(array: NDArray[np.uint8]) -> bytes:
    header = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


def random_arrays(seed: int, train: int = 300, test: int = 20) -> Arrays:
    generator = np.random.RandomState(seed)
    return Arrays(
        generator.randint(0, 256, (train, 28, 28), np.uint8),
        generator.randint(0, 10, train, np.uint8),
        generator.randint(0, 256, (test, 28, 28), np.uint8),
        generator.randint(0, 10, test, np.uint8),
    )


def gzipped(arrays: Arrays, level: int = 6) -> dict[str, bytes]:
    """File name → content."""
    return {
        f"{FILE_NAMES[field]}.gz": gzip.compress(idx_bytes(array), level, mtime=0)
        for field, array in arrays._asdict().items()
    }


def write_files(folder: Path, files: Mapping[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


class SmallDatasets:
    """``small``, which has every source but the embedded, and ``tiny``, which stands in for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.small = random_arrays(1)
        self.tiny = random_arrays(2, train=30, test=10)
        self.files = gzipped(self.small)
        self.system = folder / "system"
        self.catalogue = folder / "datasets.toml"
        write_files(folder / "data" / "tiny", gzipped(self.tiny))
        self.write_catalogue()

    def write_catalogue(self, mirrors: Iterable[str] = ()) -> Path:
        self.catalogue.write_text(
            f"[small]\n{_entry(self.small)}"
            f"system = {json.dumps(str(self.system))}\n"
            f'mirrors = {json.dumps(list(mirrors))}\nfallback = "tiny"\n'
            f"{_hashes('small', self.small)}"
            f'[tiny]\n{_entry(self.tiny)}embedded = "data/tiny"\n'
            f"{_hashes('tiny', self.tiny)}"
        )
        return self.catalogue

    def write_unpinned_catalogue(self, mirrors: Iterable[str] = ()) -> Path:
        """``plain``, the files of ``small`` without a digest of them all, and ``part``, a split."""
        self.catalogue.write_text(
            "[plain]\ntrain_examples = 300\ntest_examples = 20\n"
            f"mirrors = {json.dumps(list(mirrors))}\n{_hashes('plain', self.small)}"
            '[part]\nsplit_of = "plain"\ntrain_examples = 250\ntest_examples = 50\n'
        )
        return self.catalogue

    @property
    def part(self) -> Arrays:
        images, labels = self.small.train_images, self.small.train_labels
        return Arrays(images[:250], labels[:250], images[250:], labels[250:])

    def write_uncompressed_system(self) -> Path:
        files = {FILE_NAMES[field]: idx_bytes(a) for field, a in self.small._asdict().items()}
        return write_files(self.system, files)

    def write_system(self) -> Path:
        return write_files(self.system, self.files)


def _entry(arrays: Arrays) -> str:
    return (
        f'sha256 = "{digest_of_dataset(*arrays)}"\ntrain_examples = {len(arrays.train_labels)}\n'
        f"test_examples = {len(arrays.test_labels)}\n"
    )


def _hashes(name: str, arrays: Arrays) -> str:
    hashes = (
        f'{field} = "{hashlib.sha256(idx_bytes(array)).hexdigest()}"\n'
        for field, array in arrays._asdict().items()
    )
    return f"[{name}.files]\n{''.join(hashes)}"
