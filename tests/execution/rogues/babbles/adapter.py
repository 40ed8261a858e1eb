"""Writes rubbish into every open file descriptor, the wire among them."""

import os

from impls.reference.adapter import ReferenceAdapter


class Adapter(ReferenceAdapter):
    def train(self, batches):
        for descriptor in range(3, 256):
            try:
                os.write(descriptor, b"\x00\xffrubbish\n")
            except OSError:
                continue
        super().train(batches)


create = Adapter
