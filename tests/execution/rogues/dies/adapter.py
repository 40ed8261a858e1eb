"""Is killed by the kernel in its third training call, as when memory runs out."""

import os
import signal

from impls.reference.adapter import ReferenceAdapter


class Adapter(ReferenceAdapter):
    calls = 0

    def train(self, batches):
        Adapter.calls += 1
        if Adapter.calls > 2:
            print("the last words", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        super().train(batches)


create = Adapter
