"""What a latent frame of the tiny model means: 64 channels, each of which strikes one note or drum."""

FRAMES_PER_SECOND = 25
CHANNELS = 64
PITCHES = 12
LEADS = ("bells", "guitar", "voice")  # the melody is played by one of them, each in channels of its own
LEAD_START = {name: PITCHES * index for index, name in enumerate(LEADS)}
CHORD_START = 36
BASS_START = 48
KICK, SNARE, HAT, CRASH = range(60, 64)

STRIKE = 8.0  # the value of a struck channel; everything else is 0
LEAD_IN = 4  # empty frames before the first beat: the decoder needs three of them for a whole attack
EIGHTHS = (5, 6, 7, 8, 9, 10)  # frames per eighth note: only whole frames keep a beat that never drifts
BEATS_PER_MINUTE = tuple(60 * FRAMES_PER_SECOND / (2 * eighth) for eighth in EIGHTHS)
