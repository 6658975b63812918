"""Chapter `actions` (§5.1, §6.2): the two-branch action localiser, its ablations and its δ-sweep on JHMDB."""
