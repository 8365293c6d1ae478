"""Is a django-q2 cluster in another process group still executing AND acknowledging? Pure bookkeeping.

A heartbeat task is queued; its row disappears only after pusher, worker and monitor did their
parts. Execution alone proves nothing: with a dead monitor tasks run for ever and are never
acknowledged. Workers say on a pipe when they start and end a task, so that a cluster whose
workers are all busy with long tasks is not mistaken for a wedged one.
"""

from dataclasses import dataclass, field


@dataclass
class Pulse:
    """All times are seconds of one monotonic clock. `is_stale` is to be asked several times a second."""

    workers: int
    stale: float = 8.0
    task_seconds: float = 60.0
    _row: int = 0
    _sent_at: float = 0.0
    _ran_at: float | None = None
    _moved_at: float = 0.0
    _busy: dict[int, float] = field(default_factory=dict)

    @property
    def row(self) -> int:
        """The queue row of the heartbeat that is out, or 0."""
        return self._row

    def started(self, now: float, grace: float = 4.0) -> None:
        """A new cluster was started: what the old one did is forgotten, and it may take its time once."""
        self._busy.clear()
        self._ran_at = None
        self._moved_at = now + grace

    def sent(self, row: int, now: float) -> None:
        self._row, self._sent_at, self._ran_at = row, now, None

    def acknowledged(self, now: float) -> None:
        self._row, self._ran_at, self._moved_at = 0, None, max(self._moved_at, now)

    def heard(self, line: str, now: float) -> None:
        """A worker's line: 'S pid' or 'E pid' (start, end of a task), with ' beat' when it was the heartbeat."""
        word, _, rest = line.partition(" ")
        pid, _, mark = rest.partition(" ")
        if not pid.isdigit():
            return
        self._moved_at = max(self._moved_at, now)
        if word == "S":
            self._busy[int(pid)] = now
        else:
            self._busy.pop(int(pid), None)
            if mark == "beat":
                self._ran_at = now

    def is_stale(self, now: float) -> bool:
        if not self._row:
            return False
        if self._ran_at is not None:
            return now - self._ran_at >= self.stale
        busy = sum(now - since < self.task_seconds + 5 for since in self._busy.values())
        if busy >= self.workers:
            self._moved_at = max(self._moved_at, now)
        return now - max(self._sent_at, self._moved_at) >= self.stale
