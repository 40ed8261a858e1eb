"""Frozen records: what is measured, and what was seen. Everything else is computed from them."""
