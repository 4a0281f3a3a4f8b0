"""From noise to a song's latents: context, schedule, guidance, solvers and the run that joins them."""
