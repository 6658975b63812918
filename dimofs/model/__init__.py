"""The networks of the paper (§3, §5.1): they know tensors, and no data set."""
