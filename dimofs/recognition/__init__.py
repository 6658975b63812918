"""Chapters `features` and `clusters` (§5.2, §6.3): from people in dives to clusters of pose and motion."""
