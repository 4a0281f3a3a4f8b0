"""How far a run is: rows done, songs per hour, estimated end."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

PAUSE = 5.0  # seconds between two lines


class Progress:
    """Says now and then how far a run is."""

    def __init__(
        self, rows: int, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rows, self._say, self._clock = rows, say, clock
        self.done = self.failed = 0
        self._begun = self._said = clock()

    def ended(self, is_done: bool) -> None:
        """A row has ended."""
        self.done += is_done
        self.failed += not is_done
        now = self._clock()
        if now - self._said >= PAUSE or self.done + self.failed == self._rows:
            self._said = now
            self._say(self.line())

    def line(self) -> str:
        """How far the run is."""
        ended, seconds = self.done + self.failed, self._clock() - self._begun
        words = f"{ended} of {self._rows} rows ended"
        if self.failed:
            words += f", {self.failed} of them failed"
        if not ended or seconds <= 0:
            return words
        words += f"; {self.done * 3600 / seconds:.3g} songs an hour"
        left = seconds / ended * (self._rows - ended)
        if left:
            end = datetime.now().astimezone() + timedelta(seconds=left)
            words += f"; {timedelta(seconds=round(left))} left, until {end:%a %H:%M}"
        return words
