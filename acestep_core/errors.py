"""What a user of this package can get wrong, said in two sentences: the problem, then the remedy."""

from typing import Any

import torch

LONGEST = 2_500  # characters of a problem that anybody will read


class AceStepError(Exception):
    """Something the user can fix: what is wrong, then what to do about it."""

    def __init__(self, problem: str, remedy: str) -> None:
        if len(problem) > LONGEST:  # a stranger's file can put a name or a value of any length into it
            problem = f"{problem[: LONGEST // 2]} ... {problem[-LONGEST // 2 :]}"
        super().__init__(f"{problem}\n{remedy}")
        self.problem = problem
        self.remedy = remedy

    def __reduce__(self) -> tuple[Any, ...]:
        """Copied and pickled by what it was made of; `args`, which Python would take, hold the joined text."""
        return type(self), (self.problem, self.remedy)


class UnsupportedCheckpointError(AceStepError):
    """A file or folder that is not an ACE-Step 1.5 component, or not a whole one."""


class InvalidInputError(AceStepError):
    """A setting, latent, span, code or text outside of what the model can take."""


class InvalidAudioError(AceStepError):
    """Sound that cannot be read or used."""


class FileError(AceStepError):
    """A file that cannot be written where it was to go."""


class DeviceFullError(AceStepError, torch.OutOfMemoryError):
    """A network that the device has no room for, or for its work; hosts treat it as the error that torch raises."""


FULL = ("out of memory", "not enough memory", "allocate memory")  # as cards, Windows and Linux say it
NO_KERNEL = "could not create a primitive"  # all that oneDNN says
NO_WORKSPACE = "could not execute a primitive"


def is_full(fault: BaseException) -> bool:
    """Whether memory ran out; not every device and no system call has an exception of its own for it."""
    said = str(fault).lower()
    return (
        isinstance(fault, torch.OutOfMemoryError | MemoryError)
        or said in (NO_KERNEL, NO_WORKSPACE)
        or any(words in said for words in FULL)
    )


def is_kernel_lost(fault: BaseException | None) -> bool:
    """Whether memory ran out as oneDNN wrote a kernel, here or in what led to this."""
    return fault is not None and (str(fault) == NO_KERNEL or is_kernel_lost(fault.__cause__))
