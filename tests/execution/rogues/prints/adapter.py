"""Prints on standard output and error all the time, and works."""

import sys

from impls.reference.adapter import ReferenceAdapter


class Adapter(ReferenceAdapter):
    def train(self, batches):
        print('{"tag": "trained"}', "on standard output", flush=True)
        print("a warning", file=sys.stderr, flush=True)
        super().train(batches)


create = Adapter
