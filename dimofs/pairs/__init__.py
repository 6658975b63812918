"""Chapter `pairs` (§3, §5): which Frame B goes with which Frame A, and how both are loaded."""
