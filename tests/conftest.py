"""What holds for every test."""

from hypothesis import settings

# No test asserts on absolute time, on a machine that may be busy.
settings.register_profile("levelfield", deadline=None)
settings.load_profile("levelfield")
