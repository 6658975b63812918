"""Chapter `datasets` (§6): the official formats, their readers, and the embedded data."""
