"""The tiny model, loaded once, and a few songs that several tests listen to."""

import pytest

from training.evaluate import asked, brief_of, text_to_music
from training.playing import Studio


@pytest.fixture(scope="session")
def studio():
    return Studio.opened()


@pytest.fixture(scope="session")
def wishes():
    return asked(20, seed=17)


@pytest.fixture(scope="session")
def heard(studio, wishes):
    """What the ears say of twenty songs."""
    return text_to_music(studio, wishes)


@pytest.fixture(scope="session")
def song(studio):
    """One song of 12 s with drums, and what was asked for."""
    wish = next(wish for wish in asked(20, seed=17) if wish.style == "pop")
    return wish, studio.compose([brief_of(wish)], 12.0, [7])
