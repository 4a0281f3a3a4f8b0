"""What the files of the example workflows are called: the editor's list shows file names, and sorts them if it is asked to."""

TITLES = {  # name of a page -> what a person reads, in the order of the list
    "song": "Song",
    "song_chinese": "Song in Chinese",
    "instrumental": "Instrumental",
    "inspire": "One sentence to a song",
    "cover": "Cover",
    "repaint": "Repaint a part",
    "extend": "Extend a song",
    "stems": "Stems",
    "lego": "Add a track",
    "complete": "A band around a track",
    "retake": "Retakes of a song",
    "reference_timbre": "In the sound of a recording",
    "edit_words": "Other words for a song",
    "edit_style": "Another style for a song",
    "cover_strengths": "Cover in three strengths",
    "two_styles": "Two styles in one batch",
    "plan": "Plan a song",
    "compose": "Plan and compose",
    "understand": "Understand a recording",
    "lora": "Song with a LoRA",
    "two_loras": "Two LoRAs",
    "with_and_without": "With and without a LoRA",
    "karaoke": "Song with the times of its words",
    "best_of_four": "Best of four takes",
    "text2music": "Song, node by node",
    "codes": "Melody as codes",
    "custom_schedule": "Your own schedule",
    "ksampler": "KSampler of ComfyUI",
    "comfy_sampler": "Samplers of ComfyUI",
    "sheet": "Sheet of variations",
}


def file_of(name: str) -> str:
    """The file of a page, without its ending; one that has no place in the list yet stands last, under its own name."""
    if name not in TITLES:
        return f"90 {name.replace('_', ' ').capitalize()}"
    return f"{list(TITLES).index(name) + 1:02} {TITLES[name]}"
