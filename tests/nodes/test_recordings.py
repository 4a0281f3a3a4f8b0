"""What the page asks the server of a recording: its peaks before any run, for every file that Load Audio takes."""

import io
import resource
import socket
import struct
import threading
from http import HTTPStatus
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

import numpy as np
import pytest
import soundfile
import torch

from acestep_core.sound.peaks import peaks_of

RATE = 22_050
FORMATS = (
    *[("wav", form) for form in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")],
    *(("flac", "PCM_24"), ("aiff", "PCM_16"), ("ogg", "VORBIS"), ("mp3", "MPEG_LAYER_III")),
)


def sound(seconds=3.2, channels=2, rate=RATE):
    drawn = np.random.default_rng(0).uniform(-0.7, 0.7, (round(seconds * rate), channels))
    return drawn * np.linspace(0.1, 1, len(drawn))[:, None]


def asked(server, name, **where):
    """What the page gets: peaks and seconds, or the status of a refusal and what it says."""
    query = urlencode({"filename": name, "subfolder": "", "type": "input", **where})
    try:
        with urlopen(f"http://127.0.0.1:{server.port}/acegraph/peaks?{query}") as answer:
            return answer.read(), float(answer.headers["Acegraph-Seconds"])
    except HTTPError as refused:
        return refused.code, refused.read().decode()


@pytest.mark.parametrize(
    ("extension", "form", "channels"),
    [(*form, count) for form in FORMATS for count in (1, 2, 6) if form[0] != "mp3" or count <= 2],
)
def test_a_wave_is_that_of_what_load_audio_reads(server, host, extension, form, channels):
    path = server.base / "input" / f"drawn_{form}_{channels}.{extension}"
    soundfile.write(path, sound(channels=channels), RATE, subtype=form)
    peaks, seconds = asked(server, path.name)
    if form in ("DOUBLE", "PCM_U8"):  # which not every version reads
        read, rate = torch.tensor(soundfile.read(path, always_2d=True)[0].T, dtype=torch.float32), RATE
    else:
        read, rate = host.module("comfy_extras.nodes_audio").load(str(path))
    assert peaks == peaks_of(read, rate)
    assert seconds == read.shape[-1] / rate


def test_each_folder_is_asked_by_its_type_and_nothing_outside_of_them(server, tmp_path):
    content = io.BytesIO()
    soundfile.write(content, sound(0.5), RATE, format="WAV")
    for kind in ("input", "output", "temp"):
        folder = server.base / kind / "below"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "kinds.wav").write_bytes(content.getvalue())
        assert asked(server, "kinds.wav", subfolder="below", type=kind)[1] == 0.5
        assert asked(server, "below/kinds.wav", type=kind)[1] == 0.5
    outside = tmp_path / "outside.wav"
    outside.write_bytes(content.getvalue())
    (server.base / "inside.wav").write_bytes(content.getvalue())
    for name, where in (
        (str(outside), {}),
        ("../inside.wav", {}),
        ("kinds.wav", {"subfolder": "../input/below"}),
        ("kinds.wav", {"subfolder": str(server.base / "input/below"), "type": "output"}),
        ("kinds.wav", {"subfolder": "below", "type": "models"}),
        ("kinds.wav", {"subfolder": "elsewhere"}),
        ("below", {}),
        ("", {}),
        ("nul\0.wav", {}),
        ("x" * 5000, {}),
    ):
        assert asked(server, name, **where) == (HTTPStatus.NOT_FOUND, "")


def test_what_is_no_sound_is_refused_in_words(server):
    folder = server.base / "input"
    content = io.BytesIO()
    soundfile.write(content, sound(0.5), RATE, format="WAV")
    (folder / "words.wav").write_text("la la la" * 1000, encoding="utf-8")
    (folder / "header.wav").write_bytes(content.getvalue()[:44])
    (folder / "nothing.wav").write_bytes(b"")
    (folder / "picture.wav").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    soundfile.write(folder / "broken.wav", np.full((4800, 1), np.nan), 48_000, subtype="FLOAT")
    for name in ("words.wav", "header.wav", "nothing.wav", "picture.wav", "broken.wav"):
        status, said = asked(server, name)
        assert status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE, name
        assert "Choose" in said or "Run" in said
        assert str(folder) not in said
    assert server.is_running()


def test_a_list_of_addresses_asks_nobody(server):
    """A playlist is a sound file as well; FFmpeg opens what it names only from where the list itself comes."""
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        address = f"http://127.0.0.1:{elsewhere.getsockname()[1]}/song.ts"
        playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{address}\n#EXT-X-ENDLIST\n"
        for name in ("playlist.m3u8", "playlist.wav"):
            (server.base / "input" / name).write_text(playlist, encoding="utf-8")
            assert asked(server, name)[0] == HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        elsewhere.settimeout(0.5)
        with pytest.raises(TimeoutError):
            elsewhere.accept()


def test_an_endless_file_is_refused_at_twenty_minutes(server, pack, monkeypatch):
    path = server.base / "input" / "endless.wav"
    soundfile.write(path, np.zeros(1201 * 1000, np.float32), 1000, subtype="PCM_U8")
    query = urlencode({"filename": path.name, "type": "input"})
    with pytest.raises(HTTPError) as refused:
        urlopen(f"http://127.0.0.1:{server.port}/acegraph/peaks?{query}")
    assert refused.value.code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert refused.value.read().decode().splitlines()[0] == "The file lasts more than 20 minutes."
    assert refused.value.headers["Acegraph-Seconds"] == "1201.0"  # so that it can be drawn upon all the same
    soundfile.write(path, np.zeros(1200 * 1000, np.float32), 1000, subtype="PCM_U8")
    assert asked(server, path.name)[1] == 1200


def test_a_file_that_does_not_tell_its_length_is_refused_once_it_is_too_long(pack):
    recordings = pack.nodes.host.recordings
    parts = recordings.Bounded(iter([torch.zeros(1, 600)] * 3), 1200)
    with pytest.raises(recordings.TooLongError) as refused:
        list(parts)
    assert refused.value.seconds is None
    assert len(list(recordings.Bounded(iter([torch.zeros(1, 600)] * 2), 1200))) == 2


class Frame:
    """What PyAV decodes, as far as it is asked."""

    def __init__(self, numbers, planar=True):
        self.numbers, self.format = numbers, type("Format", (), {"is_planar": planar})
        self.layout = type("Layout", (), {"nb_channels": 2})

    def to_ndarray(self):
        return self.numbers


def test_a_stream_that_changes_on_its_way_is_drawn_at_its_level(pack):
    half = np.full((1, 10), 2**14, np.int16)
    frames = [Frame(half), Frame(half / np.float32(2**15)), Frame(np.repeat(half, 2, 1), planar=False)]
    parts = list(pack.nodes.host.recordings.gathered(frames, 1000))
    assert [tuple(part.shape) for part in parts] == [(1, 10), (1, 10), (2, 10)]
    assert all(torch.equal(part, torch.full_like(part, 0.5)) for part in parts)


def test_a_second_copy_of_the_pack_offers_nothing_more(pack, host):
    routes = host.server.routes
    for _ in range(2):
        pack.nodes.host.recordings.offer()
    assert [route.path for route in routes].count("/acegraph/peaks") == 1


def test_tags_in_other_writings_are_no_reason(server):
    content = io.BytesIO()
    soundfile.write(content, sound(0.5), RATE, format="WAV")
    title = "\u6b4c".encode("gbk") + b"\0\0"
    tags = b"LIST" + struct.pack("<I", 12 + len(title)) + b"INFOINAM" + struct.pack("<I", len(title)) + title
    whole = content.getvalue() + tags
    (server.base / "input" / "tags.wav").write_bytes(
        whole[:4] + struct.pack("<I", len(whole) - 8) + whole[8:]
    )
    assert asked(server, "tags.wav")[1] == 0.5


def test_a_file_that_claims_more_than_it_holds_is_drawn_as_far_as_it_goes(server):
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        2**32 - 1,
        b"WAVE",
        b"fmt ",
        16,
        1,
        1,
        RATE,
        RATE,
        1,
        8,
        b"data",
        2**32 - 1,
    )
    (server.base / "input" / "claims.wav").write_bytes(header + bytes([128]) * RATE)
    assert asked(server, "claims.wav")[1] == 1.0


def test_several_at_once_are_answered_and_the_server_answers_others_meanwhile(server):
    path = server.base / "input" / "minutes.flac"
    soundfile.write(path, np.tile(sound(10.0, rate=48_000), (18, 1)), 48_000)
    expected, answers = asked(server, path.name), []
    askers = [threading.Thread(target=lambda: answers.append(asked(server, path.name))) for _ in range(3)]
    for asker in askers:
        asker.start()
    others = 0
    while not answers:
        others += bool(server.get("/system_stats"))
    for asker in askers:
        asker.join(60)
    assert answers == [expected] * 3
    assert others > 3  # while the first of them was drawn


def resident_bytes():
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * resource.getpagesize()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read as Linux tells it")
def test_a_long_file_takes_no_more_memory_than_a_short_one(pack, tmp_path):
    drawn, path = pack.nodes.host.recordings.drawn, tmp_path / "long.flac"
    with soundfile.SoundFile(path, "w", 48_000, 2) as opened:
        for _ in range(30):
            opened.write(sound(10.0, rate=48_000))
    drawn(path)  # what is loaded once
    before, most, stop = resident_bytes(), [0], threading.Event()

    def watch():
        while not stop.wait(0.01):
            most[0] = max(most[0], resident_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    peaks, seconds = drawn(path)
    stop.set()
    watcher.join()
    assert (len(peaks), seconds) == (16 + 2 * 30_000, 300)
    assert most[0] - before < 60e6  # the sound itself is 115 MB in fp32
