"""Chapter `tracking` (§5, §6.1): linking detections into tracks and judging them."""
