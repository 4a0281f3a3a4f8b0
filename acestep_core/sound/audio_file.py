"""Sound files in and out; the only module that knows soundfile."""

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import soundfile
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InvalidAudioError
from ..files import write_whole
from ..timebase import SAMPLE_RATE
from .levels import peak_of, require_sound
from .resample import resample

BLOCK_FRAMES = 2**16  # handed to the encoder at a time; some versions of libsndfile overflow on a whole song
MISSING_SECONDS = 0.1  # the length in an MP3's header may be off by a few frames; more is a cut file
STREAMED_BYTES = 0x7FFFF000  # declared sizes from here on mean that the writer did not know the length
BLOCK = 1 << 20  # frames that are read at a time
DECLARED_BYTES = r"(?m)^\s*(?:data|SSND)\s*:\s*(\d+) \(should be (\d+)\)"
OGG_CUT = "lacks an end-of-stream bit"
OPUS_PACKET, OPUS_DELAY = 960, 312  # samples at 48 kHz
STEREO = 2


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """Samples, full scale 1, and their rate."""

    samples: Tensor  # [C, S] float32, or [B, C, S]
    sample_rate: int


class ModelSound(NamedTuple):
    """Sound as the model takes it, and in words what had to be changed for that."""

    samples: Tensor  # [B, 2, S] float32 at 48 kHz within [-1, 1]
    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """One way to store sound."""

    name: str
    extension: str
    container: str  # this and the subtype are libsndfile's names
    subtype: str
    bits: int | None = None  # of an integer format; samples beyond full scale are clipped there
    kbps: int | None = None  # of a lossy format: bit rate of all channels together
    rates: tuple[int, ...] | None = None  # None: any sample rate

    def encoder_options(self, channels: int) -> dict[str, Any]:
        """The bit rate in libsndfile's terms: on a scale from 0, the encoder's highest rate, to 1, its lowest."""
        if self.kbps is None:
            return {}
        if self.subtype == "OPUS":
            return {"compression_level": min(max((256 - self.kbps / channels) / (256 - 6), 0.0), 1.0)}
        return {"compression_level": (320 - self.kbps) / (320 - 32), "bitrate_mode": "CONSTANT"}


def mp3_of(kbps: int) -> AudioFormat:
    """MP3 of a constant bit rate."""
    return AudioFormat(
        f"MP3 {kbps} kbit/s", ".mp3", "MP3", "MPEG_LAYER_III", kbps=kbps, rates=(32_000, 44_100, SAMPLE_RATE)
    )


def opus_of(kbps: int) -> AudioFormat:
    """Opus, which knows one rate."""
    return AudioFormat(f"Opus {kbps} kbit/s", ".opus", "OGG", "OPUS", kbps=kbps, rates=(SAMPLE_RATE,))


FORMATS: Mapping[str, AudioFormat] = MappingProxyType(
    {
        row.name: row
        for row in (
            AudioFormat("FLAC 24-bit", ".flac", "FLAC", "PCM_24", bits=24),
            AudioFormat("FLAC 16-bit", ".flac", "FLAC", "PCM_16", bits=16),
            AudioFormat("WAV 16-bit", ".wav", "WAV", "PCM_16", bits=16),
            AudioFormat("WAV 24-bit", ".wav", "WAV", "PCM_24", bits=24),
            AudioFormat("WAV 32-bit float", ".wav", "WAV", "FLOAT"),
            *map(mp3_of, (128, 192, 256, 320)),
            *map(opus_of, (96, 128, 192, 256)),
        )
    }
)


def read_audio(path: Path | str) -> Sound:
    """Every channel of a sound file, at the rate of the file."""
    path = Path(path)
    try:
        with path.open("rb"):  # the system's own words for what is missing, forbidden or a folder
            pass
    except OSError as error:
        raise InvalidAudioError(
            f"{path} cannot be read: {error.strerror}.", "Choose a sound file that exists."
        ) from error
    try:
        with soundfile.SoundFile(path) as file:
            sound = Sound(read_samples(file), file.samplerate)
            cut = is_cut(file, sound.samples.shape[-1])
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: a headerless .raw file
        raise InvalidAudioError(
            f"{path.name} is not a whole sound file of a known kind.",
            "Choose a WAV, FLAC, AIFF, Ogg, Opus or MP3 file, or convert the sound to one of these.",
        ) from error
    if cut:
        raise InvalidAudioError(
            f"{path.name} breaks off after {sound.samples.shape[-1] / sound.sample_rate:.1f} s.",
            "Copy or download the file again, or export it anew in a sound editor.",
        )
    require_sound(sound.samples, path.name)
    return sound


def read_samples(file: soundfile.SoundFile) -> Tensor:
    """[C, S] of an open file, block by block: a header may declare more than any memory holds."""
    blocks: list[Any] = [np.zeros((0, file.channels), np.float32)]
    while len(block := file.read(BLOCK, dtype="float32", always_2d=True)):
        blocks.append(block)
    return torch.from_numpy(np.ascontiguousarray(np.concatenate(blocks).T))


def is_cut(file: soundfile.SoundFile, frames_read: int) -> bool:
    """Whether the file declares more than it holds, which libsndfile reads without complaint."""
    sizes = [(int(declared), int(there)) for declared, there in re.findall(DECLARED_BYTES, file.extra_info)]
    by_size = [
        frames_read * declared / max(1, there) for declared, there in sizes if declared < STREAMED_BYTES
    ]
    missing = max([file.frames, *by_size]) - frames_read
    return OGG_CUT in file.extra_info or missing > MISSING_SECONDS * file.samplerate


def to_model_rate(sound: Sound) -> ModelSound:
    """Two channels at 48 kHz within full scale: mono on both sides, of several channels the first two."""
    samples, changes = sound.samples, []
    require_sound(samples, "The sound")
    if samples.dim() == 2:
        samples = samples[None]

    channels = samples.shape[1]
    if channels == 1:
        samples = samples.expand(-1, STEREO, -1)
        changes.append("mono put on both channels")
    elif channels > STEREO:
        samples = samples[:, :STEREO]
        changes.append(f"first 2 of {channels} channels kept")

    if sound.sample_rate != SAMPLE_RATE:
        samples = resample(samples, sound.sample_rate, SAMPLE_RATE)
        changes.append(f"resampled from {sound.sample_rate} to {SAMPLE_RATE} Hz")

    peak = float(peak_of(samples).max())
    if peak > 1:
        samples = samples.clamp(-1, 1)
        changes.append(f"peak of {peak:.3g} clipped to full scale")
    return ModelSound(samples, tuple(changes))


def write_audio(path: Path | str, samples: Tensor, sample_rate: int, format: AudioFormat) -> None:
    """Store [C, S]; a file of that name is replaced whole at the very end, or not touched."""
    path = Path(path)
    if path.suffix.lower() != format.extension:
        raise InvalidAudioError(
            f"{path.name} does not end in {format.extension}.",
            f"Name a {format.name} file with {format.extension}.",
        )
    write_whole(path, encode_audio(samples, sample_rate, format))


def encode_audio(samples: Tensor, sample_rate: int, format: AudioFormat) -> memoryview:
    """The bytes of a sound file that holds [C, S].

    Integer formats round to the nearest step and clip at full scale. Nothing is dithered, so that a file that was
    read is written back bit for bit. Opus files end with up to 20 ms of silence.
    """
    require_sound(samples, "The song")
    check_format(format, sample_rate)
    if format.subtype == "OPUS":  # libsndfile garbles the end of a song whose last packet is not full
        samples = F.pad(samples, (0, -(samples.shape[-1] + OPUS_DELAY) % OPUS_PACKET))
    options = format.encoder_options(samples.shape[0])
    buffer = io.BytesIO()
    try:
        with soundfile.SoundFile(
            buffer, "w", sample_rate, samples.shape[0], format.subtype, format=format.container, **options
        ) as file:
            for block in samples.detach().cpu().split(BLOCK_FRAMES, -1):
                file.write(to_grid(block, format.bits).T.contiguous().numpy())
    except soundfile.LibsndfileError as error:
        raise InvalidAudioError(
            f"{samples.shape[0]} channels at {sample_rate} Hz cannot be stored as {format.name}: {error.error_string}",
            "Choose another format, such as FLAC 24-bit.",
        ) from error
    return buffer.getbuffer()


def to_grid(samples: Tensor, bits: int | None) -> Tensor:
    """Integers in the top bits of int16 or int32, as libsndfile stores them unchanged; floats without `bits`."""
    if bits is None:
        return samples.float()
    full = 2 ** (bits - 1)
    steps = (samples.double() * full).round().clamp(-full, full - 1)
    return steps.to(torch.int16) if bits == 16 else steps.to(torch.int32) << (32 - bits)


def check_format(format: AudioFormat, sample_rate: int) -> None:
    """Refuse what libsndfile cannot write, or the format not hold."""
    controls_rate = hasattr(soundfile.SoundFile, "compression_level")  # soundfile 0.13
    if not soundfile.check_format(format.container, format.subtype) or (format.kbps and not controls_rate):
        raise InvalidAudioError(
            f"The installed libsndfile {soundfile.__libsndfile_version__} cannot write {format.name}.",
            "Choose FLAC or WAV, or update the package soundfile.",
        )
    if format.rates and sample_rate not in format.rates:
        raise InvalidAudioError(
            f"{format.name} cannot hold {sample_rate} Hz.",
            f"Use {' or '.join(map(str, format.rates))} Hz, or choose FLAC or WAV.",
        )
