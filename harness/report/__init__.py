"""A run as a page for people: view model, charts, HTML and Markdown. Computes no statistics."""

import contextlib

from harness.errors import WorkplaceError
from harness.paths import settle_home

# matplotlib asks for a home as it is imported, and complains where there is none.
with contextlib.suppress(WorkplaceError):
    settle_home()
