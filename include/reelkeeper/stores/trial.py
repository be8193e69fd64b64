"""Facts about a server that are found out by trying, never assumed: once in a process, when first asked for."""

import threading
from collections.abc import Callable


class Trial:
    """Call it for the fact. Threads may share it: one tries, the others wait. `known` is None until then.

    What the attempt raises passes through, and the next call tries again.
    """

    def __init__(self, attempt: Callable[[], bool]) -> None:
        self._attempt = attempt
        self._lock = threading.Lock()
        self.known: bool | None = None

    def __call__(self) -> bool:
        if self.known is None:
            with self._lock:
                if self.known is None:
                    self.known = self._attempt()
        return self.known
