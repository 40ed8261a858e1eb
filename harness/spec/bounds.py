"""What a number in a record can be: everything else is damage, and every reader refuses it.

Records are decoded at one place each, so a bound on a field holds for all that reads them, and
stands in the schemas of ``docs/formats.md``. A bound excludes what can't be true, and what would
overflow in arithmetic; what is merely strange stays, to be shown.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

MOST = 2**53
"""Integers up to here are exact as floats too."""

Count = Annotated[int, Meta(ge=0, le=MOST)]
Positive = Annotated[int, Meta(ge=1, le=MOST)]
Seed = Annotated[int, Meta(ge=0, le=2**32 - 1)]
"""What NumPy's ``RandomState`` takes."""
Seconds = Annotated[float, Meta(ge=0, le=1e9)]
"""A duration: no clock runs backwards, and nobody waits for 30 years."""
Moment = Annotated[float, Meta(ge=0, le=253402300799)]
"""Seconds since 1970, up to the year 9999."""
Share = Annotated[float, Meta(ge=0, le=1)]
Threshold = Annotated[float, Meta(ge=0, lt=1)]
Name = Annotated[str, Meta(pattern=r"^[^/\x00]+$")]
"""Part of a file's name, and no way to another folder."""
Rate = Annotated[float, Meta(ge=1e-9, le=1e15)]
"""Per second."""
Reading = Annotated[float, Meta(ge=-1e12, le=1e12)]
"""Of a counter that is not ours: one that runs backwards (steal after a migration) is shown."""
Loss = Annotated[float, Meta(ge=-1e60, le=1e60)]
"""Of float32 values a sum of any length; its square is finite."""
Rounding = Annotated[float, Meta(ge=0)]
"""A deviation or a tolerance."""
