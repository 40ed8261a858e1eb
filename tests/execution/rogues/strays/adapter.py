"""Uses a GPU whatever it is asked for, by its own word."""

from impls.reference.adapter import ReferenceAdapter


class Adapter(ReferenceAdapter):
    def device(self):
        return "gpu:0"

    def result_device(self):
        return "gpu:0"

    def peak_device_memory_bytes(self):
        return 123_456_789


create = Adapter
