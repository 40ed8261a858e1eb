"""A worker that misbehaves."""
