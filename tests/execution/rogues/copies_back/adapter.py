"""Has its weights on the GPU, by its own word, and computes on the CPU."""

from impls.reference.adapter import ReferenceAdapter


class Adapter(ReferenceAdapter):
    def device(self):
        return "gpu:0"


create = Adapter
