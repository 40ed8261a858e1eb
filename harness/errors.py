"""Errors that a user can mend.

::

    LevelfieldError            exit code 2, one line: what, got, expected, what to do
    ├── UsageError             the command line or a file that the user wrote
    ├── DataError              a dataset is missing, damaged or not to be had
    ├── WorkplaceError         an interpreter, environment or machine does not serve
    └── RecordError            a stored run can't be read
"""

from __future__ import annotations


class LevelfieldError(Exception):
    """Something that the user can mend; its text is one line and is all that they see."""


class UsageError(LevelfieldError):
    """The command line, or a file that the user wrote, asks for what does not exist."""


class DataError(LevelfieldError):
    """A dataset is missing, damaged or not to be had."""


class WorkplaceError(LevelfieldError):
    """An interpreter, an environment or the machine does not serve."""


class RecordError(LevelfieldError):
    """A stored run can't be read."""
