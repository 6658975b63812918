"""Chapter `paper`: tables and figures, the paper's values beside ours; reads result files only, imports no torch."""
