"""How each framework does it: one folder an implementation, behind the seam in ``adapter.py``."""
