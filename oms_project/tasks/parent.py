"""What a child process owes its supervisor: to die with it, and to prove every second that it lives."""

import ctypes
import os
import signal
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Be killed when the parent dies, even by kill -9 (prctl(2), PR_SET_PDEATHSIG).

    Where there is no prctl, a thread looks every second. `parent` is the process id that should
    be ours: when it is not, the parent died before we asked, and we leave at once.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        threading.Thread(target=_look_for, args=(parent,), daemon=True).start()
    if os.getppid() != parent:
        os._exit(1)


def _look_for(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGKILL)


def forks_die_with_us() -> None:
    """Every later fork of this process, and theirs, dies with the process that forked it."""
    family = [os.getpid()]

    def before() -> None:
        family[0] = os.getpid()

    os.register_at_fork(before=before, after_in_child=lambda: die_with(family[0]))


class Voice:
    """Writes a byte to the supervisor's pipe; never blocks, never fails."""

    def __init__(self, fd: int | None) -> None:
        self._fd = fd
        if fd is not None:
            os.set_blocking(fd, False)

    def say(self, word: bytes = b".") -> None:
        if self._fd is not None:
            try:
                os.write(self._fd, word)
            except OSError:
                return
