"""Waveforms: files, levels, resampling, splicing and reference excerpts."""
