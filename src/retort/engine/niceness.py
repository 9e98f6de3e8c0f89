"""A thread that leaves the processor to others."""

import contextlib
import os
import threading

NICE = 10


def be_nice() -> None:
    """Give this thread's turns to those that answer; where the system has no priorities for threads, nothing happens.

    Threads that it starts inherit it, and only a privileged process could take it back.
    """
    with contextlib.suppress(AttributeError, OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
