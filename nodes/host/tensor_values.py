"""What ComfyUI's own sockets bring, checked before any work on it: layout, dtype, shape, length, number of songs, numbers."""

from collections.abc import Sequence
from numbers import Real
from typing import Any, SupportsFloat, TypeGuard

import torch
from torch import Tensor

from ...acestep_core.errors import InvalidAudioError, InvalidInputError
from ...acestep_core.finite import all_finite
from ...acestep_core.sound.levels import require_sound
from ...acestep_core.sound.resample import HIGHEST_RATE, LOWEST_RATE
from ...acestep_core.text.code_text import MAX_SONGS
from ...acestep_core.timebase import MAX_SECONDS, frames_of, seconds_of

MOST_TIMES = 1001  # of a schedule
MOST_SOUNDS = 1024  # of an audio batch that is only stored
MOST_SAMPLES = 1 << 30  # of all sounds and channels together: three hours of stereo
MOST_PIXELS = 1 << 25  # of all masks together: a picture of 8,192 x 4,096
PLACES = 1 << 62  # of a song in a larger batch
LONGEST_SHOWN = 40
ANEW = "Make it anew; what made it has failed."


def shown(value: Any) -> str:
    """A stranger's value, short enough for a message; huge numbers cannot even be printed whole."""
    if isinstance(value, int) and abs(value) >= 10**LONGEST_SHOWN:
        return f"a number of more than {LONGEST_SHOWN} digits"
    if value is None or isinstance(value, int):
        return str(value)
    if isinstance(value, Real):
        return f"{float(value):g}"
    if not isinstance(value, str):
        return f"a {type(value).__name__}"
    return repr(value if len(value) <= 5 * LONGEST_SHOWN else f"{value[: 5 * LONGEST_SHOWN]}...")


def is_plain(value: Any) -> TypeGuard[Tensor]:
    """Whether it is a tensor in memory whose numbers every operator understands."""
    return (
        isinstance(value, Tensor)
        and not value.is_nested
        and value.layout is torch.strided
        and not value.is_meta
        and not value.is_complex()
        and not value.is_quantized
        and (value.dtype.itemsize > 1 or not value.is_floating_point())
    )


def latent(name: str, value: Any) -> dict[str, Any]:
    """A LATENT [songs, channels, frames]; what it carries besides is checked as well."""
    samples = value.get("samples") if isinstance(value, dict) else None
    if not is_plain(samples) or not samples.is_floating_point():
        raise InvalidInputError(
            f"The {name} holds no plain latent.", "Connect an audio latent of ACE-Step 1.5."
        )
    if samples.ndim != 3:
        raise InvalidInputError(
            f"The {name} has the shape {list(samples.shape)}; ACE-Step 1.5 latents are [songs, 64, frames].",
            "Connect a latent from Silence Latent, Oobleck Encode or Codes to Latent, not one of an image or another model.",
        )
    if not samples.numel():
        raise InvalidInputError(f"The {name} is empty.", "Connect a latent of 0.04 s or more.")
    refuse_too_many(len(samples), f"The {name}")
    refuse_too_long(samples.shape[-1], name)
    refuse_not_finite(name, samples)
    if value.get("noise_mask") is not None:
        mask(f"noise_mask of the {name}", value["noise_mask"])
    if value.get("batch_index") is not None:
        places(name, value["batch_index"], len(samples))
    return value


def places(name: str, index: Any, songs: int) -> list[int]:
    """Which songs of a larger batch these are, as ComfyUI's Latent From Batch notes it."""
    numbers = index.tolist() if isinstance(index, Tensor) and index.ndim == 1 else index
    again = "Take them from the batch once more with Latent From Batch."
    if not isinstance(numbers, Sequence) or not all(
        isinstance(number, int) and 0 <= number < PLACES for number in numbers
    ):
        raise InvalidInputError(f"The {name} says no places of its songs in a larger batch.", again)
    if len(numbers) != songs:
        raise InvalidInputError(
            f"The {name} holds {songs} songs and says {len(numbers)} places for them in a larger batch.",
            again,
        )
    return list(numbers)


def mask(name: str, value: Any) -> Tensor:
    """A MASK of a song or a picture, of any number of dimensions up to four."""
    remedy = "Make the mask with Chunk Mask from the same latent."
    if not is_plain(value):
        raise InvalidInputError(f"The {name} is {shown(value)}, which is no plain mask.", remedy)
    if value.ndim not in (1, 2, 3, 4) or not 0 < value.numel() <= MOST_PIXELS:
        raise InvalidInputError(
            f"The {name} has the shape {list(value.shape)}; masks of songs are [songs, 1, frames].", remedy
        )
    refuse_not_finite(name, value)
    return value


def sigmas(name: str, value: Any) -> Tensor:
    """SIGMAS, a list of times."""
    remedy = "Connect a scheduler of ComfyUI, or leave it open."
    if not is_plain(value) or not value.is_floating_point() or value.ndim != 1:
        raise InvalidInputError(f"The {name} are no list of times.", remedy)
    if value.numel() > MOST_TIMES:
        raise InvalidInputError(
            f"The number of wired times is {value.numel()}.", f"Set it from 1 to {MOST_TIMES}."
        )
    return value


def audio(name: str, value: Any) -> dict[str, Any]:
    """An AUDIO [sounds, channels, samples] or [channels, samples], and its sample rate."""
    called = name if name == "audio" else f"{name} audio"
    waveform = value.get("waveform") if isinstance(value, dict) else None
    if not is_plain(waveform):
        raise InvalidAudioError(
            f"The {called} holds no sound.", "Connect an audio; a video without sound has none."
        )
    if waveform.ndim not in (2, 3) or not waveform.numel():
        raise InvalidAudioError(f"The {called} has 0 samples.", "Choose a recording that holds some sound.")
    if waveform.numel() > MOST_SAMPLES or (waveform.ndim == 3 and len(waveform) > MOST_SOUNDS):
        raise InvalidAudioError(
            f"The {called} has the shape {list(waveform.shape)}, more than three hours of stereo or {MOST_SOUNDS} sounds.",
            "Cut it into parts.",
        )
    rate = value.get("sample_rate")
    hertz = float(rate) if isinstance(rate, SupportsFloat) else 0.0  # numbers of NumPy count as well
    if not LOWEST_RATE <= hertz <= HIGHEST_RATE:
        raise InvalidAudioError(
            f"The {called} has no usable sample rate ({shown(rate)}).",
            "Load the sound again; something changed it on the way.",
        )
    if not all_finite(waveform):
        require_sound(waveform, f"The {called}")  # tells how many samples are broken
    return value


def refuse_not_finite(name: str, tensor: Tensor) -> None:
    """Refuse what holds NaN or infinity, which no model can play."""
    if not all_finite(tensor):
        raise InvalidInputError(f"The {name} holds NaN or infinite values.", ANEW)


def refuse_too_many(songs: int, what: str) -> None:
    """Refuse more songs than one batch has."""
    if songs > MAX_SONGS:
        raise InvalidInputError(
            f"{what} holds {songs} songs, and one batch has up to {MAX_SONGS}.",
            "Take a part of them with Latent From Batch.",
        )


def refuse_too_long(frames: int, what: str) -> None:
    """Refuse what the model cannot play."""
    if frames > frames_of(MAX_SECONDS):
        raise InvalidInputError(
            f"The {what} lasts {seconds_of(frames):g} s, and the model plays up to {MAX_SECONDS:g} s.",
            "Shorten it, for example with Trim Audio Duration, and play the rest in another run.",
        )
