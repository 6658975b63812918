"""Chapters `pretrain` and `pose` (§3, §5, §6.1): training the pose detectors and judging them over δ."""
