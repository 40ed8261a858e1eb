"""What holds for every test, and what tests on several floors need."""

from __future__ import annotations

import importlib.util
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# No test asserts on absolute time, on a machine that may be busy.
settings.register_profile("levelfield", deadline=None)
settings.load_profile("levelfield")

# A job in a shell's background ignores Ctrl-C, and what it starts does so too: tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)
# So does one under nohup ignore the end of its terminal.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

NVML = Path(__file__).parent / "environments" / "nvml"


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """From a call on, NVML answers as on the machine of that name (see ``environments/nvml``)."""

    def answer(machine: str) -> None:
        spec = importlib.util.spec_from_file_location("pynvml", NVML / "pynvml.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setitem(sys.modules, "pynvml", module)
        monkeypatch.setenv("NVML_ANSWERS", str(NVML / f"{machine}.json"))

    return answer
