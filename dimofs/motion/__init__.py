"""Chapter `motion` (§4): what the offsets show, the linear read-out of human motion, and optical flow beside it."""
