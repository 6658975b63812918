"""Pairs of frames: every labelled Frame A with every Frame B that the configured gaps δ give it (§3, §5).

INPUTS: data/datasets/<name>.csv, the manifest of a data set.
OUTPUTS: data/pairs/{posetrack18,stills,jhmdb}.parquet, one row a pair.
"""


localrules:
    pairs,
    list_pairs,


rule pairs:
    input:
        expand("data/pairs/{name}.parquet", name=["posetrack18", "stills", "jhmdb"]),
    message:
        "the pairs are listed"


rule list_pairs:
    """List (video, Frame A, Frame B, δ, split, clamped); a still image is its own Frame B (§3, §5)."""
    input:
        config=ancient(CONFIG),
        dataset="data/datasets/{name}.csv",
    output:
        "data/pairs/{name}.parquet",
    log:
        "logs/pairs/{name}.log",
    benchmark:
        "logs/benchmarks/pairs/{name}.jsonl"
    wildcard_constraints:
        name="posetrack18|stills|jhmdb",
    threads: 1
    resources:
        mem_mb=1000,
    params:
        **code("pairs_index"),
        deltas=lambda wildcards: pair_settings(wildcards.name),
    message:
        "listing the pairs of {wildcards.name}"
    shell:
        "dimofs pairs {wildcards.name:q}"
        " --config {input.config:q}"
        " --dataset {input.dataset:q}"
        " --out {output:q}"
        " > {log:q} 2>&1"
