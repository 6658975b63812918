"""The embedded data: people rendered from moving 3-D skeletons and written in the official formats."""
