"""What can become of a file: drawn from a seed, so that each case can be had again.

A record is damaged in three ways: as bytes (flipped, torn, doubled), as something that is no file,
and, by somebody who knows its schema, as JSON that is whole and can't be true.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Json = Any
Path_ = tuple[str | int, ...]

HOSTILE: tuple[Json, ...] = (
    -1, 0, 1, -0.0, 1e308, -1e308, 5e-324, 1e17, 2**53 + 1, 2**63, -(2**63), 2**64, 10**15, True,
    None, "", "x", "x" * 20_000, "\0", "\x1b[31mred", "a\nb\nc", "../../../../etc/passwd",
    "<script>", "nan", "ﷺ" * 50, [], {}, [[]], {"": {}}, ["x"], {"x": 1}, [1, 2, 3], [-1],
    ["", None],
)  # fmt: skip
RAW = (
    b"1e999", b"-1e999", b"NaN", b"Infinity", b"9" * 5000, b"[" * 100_000, b'{"a":' * 100_000,
    b'"\xff\xfe"', b'"\\ud800"', b'"\\u0000"', b"0x10", b"01", b'"unended', b"", b"[1,]", b"/**/1",
)  # fmt: skip
"""What no encoder of ours writes, in the place of a value."""
PLACEHOLDER = "the place of raw bytes"


def places(value: Json, at: Path_ = ()) -> Iterator[Path_]:
    """Where in ``value`` there is something."""
    if at:
        yield at
    if isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(each, (*at, key))


def value_at(value: Json, at: Path_) -> Json:
    for key in at:
        value = value[key]
    return value


def damaged_json(draw: random.Random, record: Json) -> bytes:
    """``record``, with one thing in it that it should not have."""
    record = json.loads(json.dumps(record))
    at = draw.choice(list(places(record)))
    parent, key = value_at(record, at[:-1]), at[-1]
    kind = draw.choice(("value", "value", "value", "raw", "gone", "new", "twice", "like"))
    raw = b""
    if kind == "value":
        parent[key] = draw.choice(HOSTILE)
    elif kind == "raw":
        parent[key], raw = PLACEHOLDER, draw.choice(RAW)
    elif kind == "gone":
        del parent[key]
    elif kind == "new" and isinstance(parent, dict):
        parent[draw.choice(("mood", "event", "type", ""))] = draw.choice(HOSTILE)
    elif kind == "twice" and isinstance(parent, list):
        parent.insert(draw.randrange(len(parent) + 1), parent[key])
    elif isinstance(parent[key], str):
        parent[key] += draw.choice(("-other", "/", " ", "0"))
    elif isinstance(parent[key], int | float):
        parent[key] *= draw.choice((-1, 10, 1000, 1e6))
    else:
        parent[key] = draw.choice(HOSTILE)
    text = json.dumps(record, ensure_ascii=draw.random() < 0.5, indent=draw.choice((None, 1)))
    return text.encode().replace(json.dumps(PLACEHOLDER).encode(), raw or b'"-"')


def damaged_lines(draw: random.Random, content: bytes) -> bytes:
    """Lines of JSON, one or more of which are not what and where they should be."""
    lines = content.splitlines()
    number = draw.randrange(len(lines))
    kind = draw.choice(("line", "line", "gone", "twice", "moved", "alien", "swapped", "many"))
    if kind == "line":
        lines[number] = damaged_json(draw, json.loads(lines[number])).replace(b"\n", b" ")
    elif kind == "gone":
        del lines[number]
    elif kind == "twice":
        lines.insert(draw.randrange(len(lines) + 1), lines[number])
    elif kind == "moved":
        lines.insert(draw.randrange(len(lines)), lines.pop(number))
    elif kind == "alien":
        alien = draw.choice((b"", b" ", b"\0" * 9, b"[]", b'{"event":"new"}', *RAW))
        lines.insert(number, alien)
    elif kind == "swapped":
        other, name = draw.randrange(len(lines)), draw.choice(("trial", "cell", "group", "block"))
        one, two = json.loads(lines[number]), json.loads(lines[other])
        one[name], two[name] = two.get(name), one.get(name)
        lines[number], lines[other] = json.dumps(one).encode(), json.dumps(two).encode()
    else:
        for each in draw.sample(range(len(lines)), min(5, len(lines))):
            lines[each] = damaged_json(draw, json.loads(lines[each])).replace(b"\n", b" ")
    return b"\n".join(lines) + draw.choice((b"\n", b"\n", b""))


def damaged_bytes(draw: random.Random, content: bytes) -> bytes:
    """Bits and pieces of ``content``."""
    place, other = draw.randrange(len(content)), draw.randrange(len(content))
    kind = draw.choice(("bit", "bit", "byte", "torn", "hole", "zeros", "piece", "bom", "wide", ""))
    if kind == "bit":
        flipped = content[place] ^ (1 << draw.randrange(8))
        return content[:place] + bytes([flipped]) + content[place + 1 :]
    if kind == "byte":
        return content[:place] + bytes([draw.randrange(256)]) + content[place:]
    if kind == "torn":
        return content[:place]
    if kind == "hole":
        return content[: min(place, other)] + content[max(place, other) :]
    if kind == "zeros":
        return content[:place] + b"\0" * len(content[place:])
    if kind == "piece":
        return content[:place] + content[other : other + 200] + content[place:]
    if kind == "bom":
        return b"\xef\xbb\xbf" + content
    if kind == "wide":
        return content.decode().encode("utf-16")
    return b""


def no_file(draw: random.Random, path: Path) -> str:
    """Something stands at ``path`` that is no file; what."""
    kind = draw.choice(("folder", "pipe", "loop", "device", "huge", "dangling"))
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "huge":
        with path.open("wb") as file:
            file.truncate(2**40)
    else:
        path.symlink_to({"loop": path.name, "device": "/dev/zero", "dangling": "nowhere"}[kind])
    return kind
