"""Has a thread that never rests, as thread pools with an active wait policy do."""

import threading

from impls.reference.adapter import ReferenceAdapter


class Adapter(ReferenceAdapter):
    def __init__(self, setup):
        super().__init__(setup)
        threading.Thread(target=self.spin, daemon=True).start()

    def spin(self):
        while True:
            pass


create = Adapter
