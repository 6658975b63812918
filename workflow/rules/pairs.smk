"""Pairs of frames: every labelled Frame A with every Frame B that the configured gaps δ give it (§3, §5).

INPUTS: data/datasets/<name>.csv, the manifest of a data set.
OUTPUTS: data/pairs/<name>_<split>.parquet, one row a pair; a split has its own file, so that other δ at test time train
nothing again.
"""


localrules:
    pairs,
    list_pairs,


rule pairs:
    input:
        expand("data/pairs/posetrack18_{split}.parquet", split=["train", "val"]),
        expand("data/pairs/{name}_train.parquet", name=STILLS),
        expand("data/pairs/jhmdb_{split}.parquet", split=["train", "test"]),
        expand("data/pairs/diving48_{split}.parquet", split=["train", "test"]),
    params:
        **settings("pretrain.initial_weights"),  # which decides whether there are stills
    message:
        "the pairs are listed"


rule list_pairs:
    """List (video, Frame A, Frame B, δ, split, clamped); a still image is its own Frame B (§3, §5)."""
    input:
        config=ancient(CONFIG),
        dataset="data/datasets/{name}.csv",
    output:
        "data/pairs/{name}_{split}.parquet",
    log:
        "logs/pairs/{name}_{split}.log",
    benchmark:
        "logs/benchmarks/pairs/{name}_{split}.jsonl"
    wildcard_constraints:
        name="posetrack18|stills|jhmdb|diving48",
        split="train|val|test",
    priority: 2  # seconds, and the longest chain of jobs begins with them
    threads: 1
    resources:
        mem_mb=1000,
    params:
        **code("pairs_index"),
        deltas=lambda wildcards: pair_settings(wildcards.name, wildcards.split),
    message:
        "listing the pairs of {wildcards.name}, {wildcards.split}"
    shell:
        "dimofs pairs {wildcards.name:q} {wildcards.split:q}"
        " --config {input.config:q}"
        " --dataset {input.dataset:q}"
        " --out {output:q}"
        " > {log:q} 2>&1"
