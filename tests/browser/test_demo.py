"""`make demo`: what it makes, and what it says when it cannot."""

import socket

import comfy_models
import demo
import pytest
import recording
import soundfile
from editor import apart


def test_the_demo_recording_is_music_of_a_few_seconds(tmp_path):
    path = recording.write(tmp_path)
    samples, rate = soundfile.read(path)
    assert (samples.shape, rate) == ((round(recording.SECONDS * rate), 2), 48_000)
    assert 0.7 < abs(samples).max() < 0.9
    first = path.read_bytes()
    path.unlink()
    assert recording.write(tmp_path).read_bytes() == first


def test_the_base_directory_is_furnished_once_and_real_files_stay(tmp_path, monkeypatch):
    demo.furnished(tmp_path / "demo")
    model = tmp_path / "demo/models/diffusion_models/acestep_v1.5_turbo.safetensors"
    model.unlink()
    model.write_bytes(b"a real model")
    monkeypatch.setattr(comfy_models, "build", None)  # must not be called again
    demo.furnished(tmp_path / "demo")
    assert model.read_bytes() == b"a real model"
    assert (tmp_path / "demo/input" / recording.NAME).is_file()
    assert (tmp_path / "demo/custom_nodes/acestep-graph/nodes").is_dir()


def test_a_song_is_made_and_described(studio):
    song = apart(demo.make_song, studio.server())
    assert song.is_file()
    assert demo.described(song).startswith("45.00 s, 2 channels, 48000 Hz, peak -1.0 dBFS")


def test_the_port_is_the_wanted_one_or_refused_in_words(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setenv("PORT", str(port))
        with pytest.raises(SystemExit, match=rf"Port {port} is in use\. Choose another one"):
            demo.chosen_port()
    assert demo.chosen_port() == port
    monkeypatch.setenv("PORT", "music")
    with pytest.raises(SystemExit, match="'music', which is no port"):
        demo.chosen_port()
    monkeypatch.delenv("PORT")
    monkeypatch.setattr(demo, "is_free", lambda port: False)
    assert demo.chosen_port() not in (0, demo.USUAL_PORT)


def test_a_missing_comfyui_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("COMFYUI_DIR", str(tmp_path))
    with pytest.raises(SystemExit, match=r"holds no ComfyUI\. Run make demo, or correct COMFYUI_DIR"):
        demo.main()
