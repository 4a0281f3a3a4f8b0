"""What one part of a hostile run has seen."""

import time
from dataclasses import dataclass, field

SHOWN = 12  # faults that are printed of each part


@dataclass
class Verdict:
    """How many cases there were, what was measured, and what went wrong."""

    name: str
    limit: float | None = None  # seconds after which no new case begins
    cases: int = 0
    seen: list[str] = field(default_factory=list)  # figures, in words
    faults: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    def begin(self) -> None:
        """Only now the limit begins to count: what had to be started is there."""
        self.began = time.monotonic()

    def may_go_on(self) -> bool:
        """Whether there is time for one more case."""
        return self.limit is None or time.monotonic() - self.began < self.limit

    def expect(self, holds: object, otherwise: str) -> bool:
        """Note a fault unless this holds."""
        if not holds:
            self.faults.append(otherwise)
        return bool(holds)

    def ended(self) -> "Verdict":
        """The same, with how long it took."""
        self.seconds = time.monotonic() - self.began
        return self

    def __str__(self) -> str:
        how = "held" if not self.faults else f"{len(self.faults)} FAULTS"
        first = f"{self.name}: {self.cases} cases, {how}, {self.seconds:.0f} s"
        more = [f"  ! and {len(self.faults) - SHOWN} more"] if len(self.faults) > SHOWN else []
        return "\n".join(
            [
                first,
                *(f"  {line}" for line in self.seen),
                *(f"  ! {fault}" for fault in self.faults[:SHOWN]),
                *more,
            ]
        )
