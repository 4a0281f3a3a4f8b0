"""Many songs: any graph over a table of rows, on one machine or on a cluster, played by Ray. Nothing imports this package."""
