"""The example workflows that need no recording, and the one that needs it for its sound."""

from tools.workflows.page import GOLD, GREEN, VIOLET, Page
from tools.workflows.parts import (
    CAPTION,
    LYRICS,
    decoded,
    finish,
    length_of,
    made_here,
    opening,
    recorded,
    sampler,
    saved,
    told,
    upload,
    words,
)

SEED = 20


def text2music() -> Page:
    page = Page("text2music", "Text to music")
    steps = [
        "*Caption*: style, instruments, mood, voice.",
        "*Lyrics*: with [Verse], [Chorus], [Bridge] on lines of their own.",
        "*Length* in Silence Latent.",
        "Run again: the seed changes by itself, and so does the song.",
    ]
    load = opening(page, "A song from a description and its lyrics.", steps)
    page.group("Song", GREEN)
    conditions = words(page, load, caption=CAPTION, lyrics=LYRICS)
    page.group("Play", GOLD)
    silence = length_of(page, load, conditions, 45.0)
    settings = {"control_after_generate": "randomize"}
    played = sampler(page, load, conditions, silence["latent"], **settings)
    finish(page, load, conditions, played, "text2music")
    return page


def instrumental() -> Page:
    page = Page("instrumental", "Instrumental")
    steps = [
        "*Caption*: what plays, and what happens.",
        "*bpm*, *key*, *time signature*: set what matters to you, leave the rest on auto.",
        "*Length* in Silence Latent.",
    ]
    load = opening(page, "Music without singing, in a tempo and key of your choice.", steps)
    page.group("Song", GREEN)
    caption = (
        "slow lo-fi hip hop instrumental, dusty vinyl drums, warm Rhodes chords, mellow upright bass, "
        "distant muted trumpet, rain outside, relaxed and nostalgic"
    )
    metadata = {"bpm": 82, "key": "D minor", "time_signature": "4"}
    conditions = words(page, load, caption=caption, instrumental=True, **metadata)
    page.group("Play", GOLD)
    silence = length_of(page, load, conditions, 40.0)
    settings = {"control_after_generate": "randomize"}
    played = sampler(page, load, conditions, silence["latent"], **settings)
    finish(page, load, conditions, played, "instrumental")
    return page


def reference_timbre() -> Page:
    page = Page("reference_timbre", "Reference timbre")
    steps = [
        upload("voices and instruments that the song shall sound like"),
        "*Caption* of the new song, and its *lyrics*, with *instrumental* off.",
        "For several references: a Reference Timbre for each, joined with Latent Batch.",
    ]
    load = opening(page, "A new song with the sound of a recording; its notes are not used.", steps)
    page.group("Sound", VIOLET)
    audio = recorded(page)
    file = made_here(page, load, audio, under="Sound")
    page.resume("Sound")
    look = {"width": 300}
    timbre = page.add("AceGraphReferenceTimbre", look, vae=load["vae"], audio=file)
    told(page, timbre["report"], "What was listened to")
    page.group("Song", GREEN)
    caption = "melodic synth pop, driving bass, bright lead, four-on-the-floor drums"
    conditions = words(page, load, timbre=timbre["timbre"], caption=caption, instrumental=True)
    page.group("Play", GOLD)
    silence = length_of(page, load, conditions, 30.0)
    played = sampler(page, load, conditions, silence["latent"], seed=SEED)
    finish(page, load, conditions, played, "reference_timbre")
    return page


def retake() -> Page:
    page = Page("retake", "Retakes of a song")
    steps = [
        "*seed* in **both** Sampler and Retake: that of the song you like.",
        "*variation* in Retake: 0.1 is nearly the same song, 1 a new one.",
        "*songs* in Four takes: how many there are. *Length* is the same in One song and Four takes.",
    ]
    load = opening(page, "The song of a seed, and four takes of it that differ a little.", steps)
    page.group("Song", GREEN)
    conditions = words(page, load, caption=CAPTION, lyrics=LYRICS)
    page.group("The song", GOLD)
    one = {"title": "One song", "width": 300}
    silence = page.add("AceGraphSilenceLatent", one, model=load["model"], seconds=30.0)
    conditions.wires["source"] = silence["latent"]
    played = sampler(page, load, conditions, silence["latent"], seed=SEED)
    page.group("Its takes", GOLD)
    four = {"title": "Four takes", "width": 300}
    batch = page.add("AceGraphSilenceLatent", four, model=load["model"], seconds=30.0, batch_size=4)
    fields = {"seed": SEED, "retake_seed": 1, "control_after_generate": "fixed", "variation": 0.25}
    noise = page.add("AceGraphRetake", {"width": 300}, latent=batch["latent"], **fields)
    takes = sampler(page, load, conditions, batch["latent"], "Sampler of the takes", noise=noise["noise"])
    page.group("Listen", VIOLET)
    page.add(
        "AceGraphPreviewAudio",
        {"title": "The song", "width": 340},
        audio=decoded(page, load, played)["audio"],
    )
    saved(page, decoded(page, load, takes)["audio"], conditions, "retake", "The takes")
    told(page, takes["report"])
    return page


def custom_schedule() -> Page:
    page = Page("custom_schedule", "Custom schedule and extras")
    steps = [
        "*Karras Scheduler*: any scheduler of ComfyUI with times from 1 down to 0. More steps are slower.",
        "*rho*: higher spends more steps on detail.",
        "*Sampling Extras*: all off but for a clamp, which counts where guidance is loud.",
        "*solver*: heun is twice as slow and more exact.",
    ]
    load = opening(page, "Times, solver and filters of your own, for those who like to experiment.", steps)
    page.group("Song", GREEN)
    conditions = words(page, load, caption=CAPTION, lyrics=LYRICS)
    page.group("Play", GOLD)
    silence = length_of(page, load, conditions, 30.0)
    times = {"steps": 12, "sigma_max": 1.0, "sigma_min": 0.1, "rho": 3.0}
    sigmas = page.add("KarrasScheduler", {"width": 300}, **times)
    extras = page.add("AceGraphSamplingExtras", {"width": 300}, norm_clamp=2.0)
    page.column()
    wires = {"sigmas": sigmas["SIGMAS"], "extras": extras["extras"]}
    played = sampler(page, load, conditions, silence["latent"], seed=SEED, solver="heun", **wires)
    finish(page, load, conditions, played, "custom_schedule")
    return page
