"""Was written before an adapter could be asked where results are."""

from impls.reference.adapter import ReferenceAdapter

NEW = ("result_device", "peak_device_memory_bytes")


class Adapter(ReferenceAdapter):
    def __getattribute__(self, name):
        if name in NEW:
            raise AttributeError(name)
        return super().__getattribute__(name)

    def device(self):
        return self._setup.device


create = Adapter
