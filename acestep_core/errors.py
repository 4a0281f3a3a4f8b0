"""What a user of this package can get wrong, said in two sentences: the problem, then the remedy."""

import torch


class AceStepError(Exception):
    """Something the user can fix: what is wrong, then what to do about it."""

    def __init_subclass__(cls) -> None:
        cls.__module__ = "ACE-Step"  # hosts show it before the name; of a pack it would be a path on the disk

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}\n{remedy}")
        self.problem = problem
        self.remedy = remedy


class UnsupportedCheckpointError(AceStepError):
    """A file or folder that is not an ACE-Step 1.5 component, or not a whole one."""


class InvalidInputError(AceStepError):
    """A setting, latent, span, code or text outside of what the model can take."""


class InvalidAudioError(AceStepError):
    """Sound that cannot be read, written or used."""


class DeviceFullError(AceStepError, torch.OutOfMemoryError):
    """A network that the device has no room for, or for its work; hosts treat it as the error that torch raises."""
