import math
import re
import sys

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acestep_core.errors import AceStepError, FileError, InvalidAudioError
from acestep_core.sound.audio_file import (
    FORMATS,
    AudioFormat,
    Sound,
    encode_audio,
    read_audio,
    to_model_rate,
    write_audio,
)

INTEGER = [row for row in FORMATS.values() if row.bits]
MP3 = [row for row in FORMATS.values() if row.container == "MP3"]
OPUS = [row for row in FORMATS.values() if row.subtype == "OPUS"]
LOSSY = MP3 + OPUS
WAV16, WAV_FLOAT, FLAC24 = FORMATS["WAV 16-bit"], FORMATS["WAV 32-bit float"], FORMATS["FLAC 24-bit"]


def each(rows):
    return pytest.mark.parametrize("row", rows, ids=lambda row: row.name)


def tone(seconds: float = 2.0, rate: int = 48_000, channels: int = 2) -> torch.Tensor:
    moments = torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    pitches = 440 * 1.5 ** torch.arange(channels, dtype=torch.float64)
    return (0.5 * torch.sin(2 * math.pi * pitches[:, None] * moments)).float()


def grid(bits: int, samples: int = 5_000) -> torch.Tensor:
    """Samples that an integer format holds exactly, both extremes among them."""
    full = 2 ** (bits - 1)
    steps = torch.randint(-full, full, (2, samples), generator=torch.Generator().manual_seed(bits))
    steps[:, 0], steps[:, 1] = -full, full - 1
    return (steps.double() / full).float()


def assert_refused(problem: str, call, *arguments, kind=InvalidAudioError) -> None:
    with pytest.raises(kind, match=problem) as caught:
        call(*arguments)
    for sentence in (caught.value.problem, caught.value.remedy):
        assert re.fullmatch(r"[^\n]+\.", sentence)


# ---- round trips


@each(INTEGER)
def test_integer_formats_give_back_their_own_steps_bit_for_bit(row, tmp_path):
    path, samples = tmp_path / f"song{row.extension}", grid(row.bits)
    write_audio(path, samples, 44_100, row)
    sound = read_audio(path)

    assert torch.equal(sound.samples, samples)
    assert sound.sample_rate == 44_100
    assert soundfile.info(path).subtype == row.subtype


@given(samples=st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=50))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_float_wav_gives_back_every_bit(samples, tmp_path):
    path, samples = tmp_path / "song.wav", torch.tensor([samples], dtype=torch.float32)
    write_audio(path, samples, 48_000, WAV_FLOAT)

    assert torch.equal(read_audio(path).samples, samples)


@each(INTEGER)
def test_integer_formats_round_to_the_nearest_step(row, tmp_path):
    path, samples = tmp_path / f"song{row.extension}", torch.rand(2, 3_000) * 1.9 - 0.95
    write_audio(path, samples, 48_000, row)

    assert (read_audio(path).samples - samples).abs().max() <= 0.5 / 2 ** (row.bits - 1)


@each(INTEGER)
def test_integer_formats_clip_and_never_wrap_around(row, tmp_path):
    path = tmp_path / f"song{row.extension}"
    write_audio(path, torch.tensor([[1.0, 1.00001, 7.0, 1e30, -1.0, -1.00001, -7.0, -1e30]]), 48_000, row)

    highest = 1 - 1 / 2 ** (row.bits - 1)
    assert read_audio(path).samples.tolist() == [[highest] * 4 + [-1.0] * 4]


@each(MP3)
@pytest.mark.parametrize("samples", [1, 2, 47_999, 96_000])
def test_mp3_keeps_the_length_to_the_sample(row, samples, tmp_path):
    write_audio(tmp_path / "song.mp3", tone()[:, :samples], 48_000, row)

    assert read_audio(tmp_path / "song.mp3").samples.shape == (2, samples)


@each(OPUS)
@pytest.mark.parametrize("samples", [1, 2, 47_687, 47_688, 47_689, 48_000, 48_100])
def test_opus_adds_nothing_but_under_20_ms_of_silence(row, samples, tmp_path):
    write_audio(tmp_path / "song.opus", tone()[:, :samples], 48_000, row)
    added = read_audio(tmp_path / "song.opus").samples[:, samples:]

    assert added.shape[1] < 960
    assert (added.abs() < 0.1).all()


@each(LOSSY)
@pytest.mark.parametrize("samples", [47_687, 48_000, 48_100])
def test_lossy_formats_keep_a_tone_up_to_its_last_sample(row, samples, tmp_path):
    path, song = tmp_path / f"song{row.extension}", tone()[:, :samples]
    write_audio(path, song, 48_000, row)
    error = read_audio(path).samples[:, :samples] - song

    assert 10 * torch.log10(song.square().sum() / error.square().sum()) > 25
    assert error[:, -2_000:].abs().max() < 0.1


@each(LOSSY)
@pytest.mark.parametrize("channels", [1, 2])
def test_lossy_formats_take_the_bit_rate_of_their_name(row, channels):
    seconds = 4
    noise = 0.2 * torch.randn(channels, 48_000 * seconds, generator=torch.Generator().manual_seed(0))
    kbps = len(encode_audio(noise, 48_000, row)) * 8 / seconds / 1_000

    assert kbps == pytest.approx(row.kbps, rel=0.15)


@each(FORMATS.values())
def test_one_sample_makes_a_file(row, tmp_path):
    path = tmp_path / f"song{row.extension}"
    write_audio(path, torch.full((1, 1), 0.25), 48_000, row)

    assert read_audio(path).samples.shape[1] >= 1


@each(FORMATS.values())
def test_a_song_longer_than_one_block_arrives_in_order(row, tmp_path):
    path, samples = tmp_path / f"song{row.extension}", tone(3.1, channels=1) * torch.linspace(0, 1, 148_800)
    write_audio(path, samples, 48_000, row)

    assert (read_audio(path).samples[:, : samples.shape[1]] - samples).abs().max() < 0.05


@each([WAV_FLOAT, FLAC24, FORMATS["Opus 192 kbit/s"]])
def test_several_channels_arrive_in_order(row, tmp_path):
    path, samples = tmp_path / f"song{row.extension}", tone(0.5, channels=6)
    write_audio(path, samples, 48_000, row)
    sound = read_audio(path).samples

    assert sound.shape[0] == 6
    likeness = torch.corrcoef(torch.cat((samples, sound[:, : samples.shape[1]])))[:6, 6:]
    assert likeness.argmax(1).tolist() == [0, 1, 2, 3, 4, 5]


def test_half_precision_and_strided_samples_are_written_as_their_values(tmp_path):
    samples = tone(0.1).half()
    write_audio(tmp_path / "song.wav", samples.T.contiguous().T[:, ::2], 48_000, WAV_FLOAT)

    assert torch.equal(read_audio(tmp_path / "song.wav").samples, samples[:, ::2].float())


# ---- reading


@pytest.mark.parametrize(
    ("extension", "container", "subtype", "step"),
    [
        (".wav", "WAV", "PCM_U8", 2**-7),
        (".wav", "WAV", "PCM_16", 2**-15),
        (".wav", "WAV", "PCM_24", 2**-23),
        (".wav", "WAV", "PCM_32", 2**-22),
        (".wav", "WAV", "FLOAT", 2**-22),
        (".wav", "WAV", "DOUBLE", 2**-22),
        (".wav", "WAVEX", "PCM_24", 2**-23),
        (".flac", "FLAC", "PCM_16", 2**-15),
        (".flac", "FLAC", "PCM_24", 2**-23),
        (".aiff", "AIFF", "PCM_16", 2**-15),
        (".ogg", "OGG", "VORBIS", 0.05),
        (".opus", "OGG", "OPUS", 0.11),
        (".mp3", "MP3", "MPEG_LAYER_III", 0.11),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_every_usual_kind_of_file_is_read_at_full_scale_one(
    extension, container, subtype, step, channels, tmp_path
):
    path, samples = (
        tmp_path / f"song{extension}",
        tone(0.5, channels=channels)[:, :23_688],
    )  # whole Opus packets
    soundfile.write(path, samples.T.numpy(), 48_000, format=container, subtype=subtype)
    sound = read_audio(path)

    assert sound.samples.shape == samples.shape
    assert sound.samples.dtype == torch.float32
    assert sound.samples.is_contiguous()
    assert (sound.samples - samples).abs().max() <= 1.01 * step


def test_the_content_counts_and_not_the_extension(tmp_path):
    write_audio(tmp_path / "song.flac", grid(24), 48_000, FLAC24)
    (tmp_path / "song.flac").rename(tmp_path / "song.unheard-of")

    assert torch.equal(read_audio(str(tmp_path / "song.unheard-of")).samples, grid(24))


def test_a_path_with_any_letters_is_read_and_written(tmp_path):
    folder = tmp_path / "Mot\u00f6r \u97f3\u697d"
    folder.mkdir()
    write_audio(folder / "l\u00fcd \u266b.wav", grid(16), 48_000, WAV16)

    assert torch.equal(read_audio(folder / "l\u00fcd \u266b.wav").samples, grid(16))


def test_a_streamed_wav_that_does_not_know_its_length_is_whole(tmp_path):
    content = bytearray(encode_audio(grid(16), 48_000, WAV16))
    at = content.find(b"data") + 4
    for unknown in (0xFFFFFFFF, 0x7FFFF000):
        content[at : at + 4] = unknown.to_bytes(4, "little")
        (tmp_path / "song.wav").write_bytes(content)
        assert torch.equal(read_audio(tmp_path / "song.wav").samples, grid(16))


def test_96_khz_mono_8_bit_becomes_what_the_model_takes(tmp_path):
    soundfile.write(tmp_path / "song.wav", tone(1.0, 96_000, 1).T.numpy(), 96_000, subtype="PCM_U8")
    samples, changes = to_model_rate(read_audio(tmp_path / "song.wav"))

    assert samples.shape == (1, 2, 48_000)
    assert (samples - tone(1.0, 48_000, 1))[..., 100:-100].abs().max() < 2**-6
    assert changes == ("mono put on both channels", "resampled from 96000 to 48000 Hz")


# ---- conversion for the model


def test_stereo_at_48_khz_is_taken_as_it_is():
    samples, changes = to_model_rate(Sound(tone(), 48_000))

    assert torch.equal(samples[0], tone())
    assert changes == ()


def test_mono_is_heard_on_both_sides_and_of_six_channels_the_first_two_count():
    assert torch.equal(
        to_model_rate(Sound(tone(channels=1), 48_000)).samples[0], tone(channels=1).expand(2, -1)
    )
    samples, changes = to_model_rate(Sound(tone(channels=6), 48_000))

    assert torch.equal(samples[0], tone(channels=6)[:2])
    assert changes == ("first 2 of 6 channels kept",)


def test_peaks_beyond_full_scale_are_clipped_and_it_is_said():
    loud = tone() * 4
    samples, changes = to_model_rate(Sound(loud, 48_000))

    assert torch.equal(samples[0], loud.clamp(-1, 1))
    assert changes == ("peak of 2 clipped to full scale",)
    assert loud.max() > 1


def test_a_batch_stays_a_batch():
    batch = torch.stack((tone(0.2, 44_100), tone(0.2, 44_100) / 2))
    samples = to_model_rate(Sound(batch, 44_100)).samples

    assert samples.shape == (2, 2, 9_600)
    assert torch.allclose(samples[1:], to_model_rate(Sound(batch[1:], 44_100)).samples, atol=1e-6)


# ---- bad input


def test_a_missing_file_is_refused_by_its_name(tmp_path):
    assert_refused("nope.wav cannot be read: No such file", read_audio, tmp_path / "nope.wav")


def test_a_folder_is_refused(tmp_path):
    assert_refused("cannot be read", read_audio, tmp_path)
    assert_refused("cannot be written", write_audio, *folder_target(tmp_path), kind=FileError)


def folder_target(tmp_path):
    (tmp_path / "song.wav").mkdir()
    return tmp_path / "song.wav", tone(0.1), 48_000, WAV16


@pytest.mark.parametrize("name", ["text.wav", "text.mp3", "text.flac", "text.raw", "text"])
@pytest.mark.parametrize("content", [b"", b"RIFF", b"no sound at all " * 1_000])
def test_a_file_that_is_no_audio_is_refused(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)

    assert_refused(f"{name} is not a whole sound file", read_audio, tmp_path / name)


@pytest.mark.parametrize(("extension", "container"), [(".wav", "WAV"), (".aiff", "AIFF"), (".flac", "FLAC")])
def test_a_file_of_no_samples_is_refused(extension, container, tmp_path):
    path = tmp_path / f"empty{extension}"
    soundfile.write(path, np.zeros((0, 2)), 48_000, format=container)

    assert_refused("empty", read_audio, path)


@pytest.mark.parametrize("keep", [0.02, 0.5, 0.9])
@pytest.mark.parametrize("row", [*FORMATS.values(), None], ids=lambda row: row.name if row else "AIFF")
def test_a_truncated_file_is_refused(row, keep, tmp_path):
    path = tmp_path / "song"
    noise = 0.2 * torch.randn(2, 3 * 48_000, generator=torch.Generator().manual_seed(0))
    if row is None:
        soundfile.write(path, noise.T.numpy(), 48_000, format="AIFF")
    else:
        path.write_bytes(encode_audio(noise, 48_000, row))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])

    assert_refused("breaks off|not a whole sound file", read_audio, path)


def test_a_file_of_broken_numbers_is_refused(tmp_path):
    soundfile.write(tmp_path / "song.wav", np.array([0.0, np.nan, np.inf]), 48_000, subtype="FLOAT")

    assert_refused("song.wav holds 2 samples that are NaN", read_audio, tmp_path / "song.wav")


def test_a_file_of_an_impossible_rate_is_refused(tmp_path):
    soundfile.write(tmp_path / "song.wav", np.zeros(10), 7)

    assert_refused("sample rate of 7 Hz", to_model_rate, read_audio(tmp_path / "song.wav"))


def test_empty_or_broken_sound_does_not_reach_the_model():
    assert_refused("no samples", to_model_rate, Sound(torch.zeros(2, 0), 48_000))
    assert_refused("NaN", to_model_rate, Sound(torch.full((2, 10), math.nan), 48_000))


@each(FORMATS.values())
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_broken_samples_are_not_written(row, value, tmp_path):
    samples = tone(0.1)
    samples[0, 7] = value

    assert_refused("holds 1 sample", write_audio, tmp_path / f"song{row.extension}", samples, 48_000, row)
    assert list(tmp_path.iterdir()) == []


@each(FORMATS.values())
def test_no_samples_are_not_written(row, tmp_path):
    path = tmp_path / f"song{row.extension}"

    assert_refused("no samples", write_audio, path, torch.zeros(2, 0), 48_000, row)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["song.flac", "song.txt", "song", "song.wav.part"])
def test_an_extension_that_is_not_the_formats_is_refused(name, tmp_path):
    assert_refused(f"{name} does not end in .wav", write_audio, tmp_path / name, tone(0.1), 48_000, WAV16)
    assert list(tmp_path.iterdir()) == []


def test_an_extension_in_capitals_is_accepted(tmp_path):
    write_audio(tmp_path / "SONG.WAV", grid(16), 48_000, WAV16)

    assert torch.equal(read_audio(tmp_path / "SONG.WAV").samples, grid(16))


@pytest.mark.parametrize(("name", "rate"), [("Opus 128 kbit/s", 44_100), ("MP3 320 kbit/s", 96_000)])
def test_a_rate_that_the_format_cannot_hold_is_refused(name, rate):
    assert_refused(f"{name} cannot hold {rate} Hz", encode_audio, tone(0.1), rate, FORMATS[name])


def test_channels_that_the_format_cannot_hold_are_refused():
    assert_refused("3 channels", encode_audio, tone(0.1, channels=3), 48_000, FORMATS["MP3 128 kbit/s"])


def test_a_format_that_this_libsndfile_lacks_is_refused():
    wax = AudioFormat("Wax", ".wax", "WAX", "CYLINDER")

    assert_refused("installed libsndfile .* cannot write Wax", encode_audio, tone(0.1), 48_000, wax)


# ---- whole or not at all


def test_an_existing_file_is_replaced_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "song.wav"
    path.write_bytes(b"older")
    write_audio(path, grid(16), 48_000, WAV16)

    assert torch.equal(read_audio(path).samples, grid(16))
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not replace a file that is open")
def test_who_has_the_old_file_open_goes_on_reading_the_old_file(tmp_path):
    path = tmp_path / "song.wav"
    path.write_bytes(b"older")
    with path.open("rb") as reader:
        write_audio(path, grid(16), 48_000, WAV16)
        assert reader.read() == b"older"


def test_a_written_file_has_the_rights_of_any_new_file(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    write_audio(tmp_path / "song.wav", tone(0.1), 48_000, WAV16)

    assert (tmp_path / "song.wav").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_missing_folder_is_refused_and_not_made(tmp_path):
    path = tmp_path / "nowhere" / "song.wav"

    assert_refused("No such file", write_audio, path, tone(0.1), 48_000, WAV16, kind=FileError)
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_a_folder_should_be_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"kept")

    target = tmp_path / "file" / "song.wav"
    assert_refused("cannot be written", write_audio, target, tone(0.1), 48_000, WAV16, kind=FileError)
    assert (tmp_path / "file").read_bytes() == b"kept"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
@pytest.mark.parametrize("limit", [0, 10, 10_000])
def test_when_the_disk_is_full_the_old_file_is_whole_and_nothing_is_left_over(limit, tmp_path):
    import resource

    path = tmp_path / "song.wav"
    path.write_bytes(b"older" * 100)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))  # every write beyond it fails like a full disk
    try:
        with pytest.raises(AceStepError) as caught:
            write_audio(path, tone(), 48_000, WAV16)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert "File too large" in caught.value.problem
    assert path.read_bytes() == b"older" * 100
    assert list(tmp_path.iterdir()) == [path]


# ---- the table


def test_format_names_and_extensions_are_those_of_the_menu():
    assert {name: row.extension for name, row in FORMATS.items()} == {
        "FLAC 24-bit": ".flac",
        "FLAC 16-bit": ".flac",
        "WAV 16-bit": ".wav",
        "WAV 24-bit": ".wav",
        "WAV 32-bit float": ".wav",
        **{f"MP3 {kbps} kbit/s": ".mp3" for kbps in (128, 192, 256, 320)},
        **{f"Opus {kbps} kbit/s": ".opus" for kbps in (96, 128, 192, 256)},
    }


def test_the_table_cannot_be_changed():
    with pytest.raises(TypeError):
        FORMATS["Wax"] = WAV16


def test_a_header_that_declares_more_than_any_memory_holds_is_a_file_that_breaks_off(tmp_path):
    path = tmp_path / "endless.flac"
    soundfile.write(path, np.full((4_800, 2), 0.1), 48_000)
    content = bytearray(path.read_bytes())
    content[21] |= 0x0F  # the last 36 bits of a count of samples
    content[22:26] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    with pytest.raises(InvalidAudioError, match=r"endless.flac (breaks off|is not a whole sound file)"):
        read_audio(path)
