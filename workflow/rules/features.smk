"""People in dives: joints, DiMoFs at the joints after a PCA, and optical flow there (§5.2).

INPUTS: data/datasets/diving48.csv, data/pairs/diving48_{train,test}.parquet, results/pretrain/dimofs.safetensors.
OUTPUTS: results/features/pca.safetensors; results/features/{train,test}.parquet, one row a person and frame.
A split that was stopped goes on from its finished parts in .resume/.
"""


localrules:
    features,


rule features:
    input:
        "results/features/pca.safetensors",
        expand("results/features/{split}.parquet", split=["train", "test"]),
    message:
        "the features of the dives are there"


rule fit_pca:
    """Fit the PCA of DiMoFs at joints on some training dives (§5.2, A33)."""
    input:
        config=ancient(CONFIG),
        dataset="data/datasets/diving48.csv",
        pairs="data/pairs/diving48_train.parquet",
        checkpoint="results/pretrain/dimofs.safetensors",
    output:
        "results/features/pca.safetensors",
    log:
        "logs/features/pca.log",
    benchmark:
        "logs/benchmarks/features/pca.jsonl"
    priority: 2  # in the longest chain of jobs, to the last row of Table 4
    threads: CHECKED.features.threads
    resources:
        mem_mb=3000,
    params:
        **settings("seed", "model", "pairs.diving48_labels"),
        **settings(*(f"features.{key}" for key in PCA_KEYS)),
        **code("features_fit"),
    message:
        "fitting the PCA of DiMoFs at joints; progress in {log}"
    shell:
        "dimofs features fit"
        " --config {input.config:q}"
        " --checkpoint {input.checkpoint:q}"
        " --dataset {input.dataset:q}"
        " --pairs {input.pairs:q}"
        " --out {output:q}"
        " > {log:q} 2>&1"


rule extract_features:
    """Find the people in every pair of a split: joints, DiMoFs at the joints after the PCA, flow there (§5.2, A14)."""
    input:
        config=ancient(CONFIG),
        dataset="data/datasets/diving48.csv",
        pairs="data/pairs/diving48_{split}.parquet",
        checkpoint="results/pretrain/dimofs.safetensors",
        pca="results/features/pca.safetensors",
    output:
        "results/features/{split}.parquet",
    log:
        "logs/features/{split}.log",
    benchmark:
        "logs/benchmarks/features/{split}.jsonl"
    wildcard_constraints:
        split="train|test",
    priority: 2  # in the longest chain of jobs, to the last row of Table 4
    threads: CHECKED.features.threads
    resources:
        mem_mb=3000,
    params:
        **settings("seed", "model", "features", "pairs.diving48_labels"),
        **code("features_extract"),
    message:
        "finding the people of the {wildcards.split} dives; progress in {log}"
    shell:
        "dimofs features extract"
        " --config {input.config:q}"
        " --checkpoint {input.checkpoint:q}"
        " --pca {input.pca:q}"
        " --dataset {input.dataset:q}"
        " --pairs {input.pairs:q}"
        " --out {output:q}"
        " --resume .resume/features/{wildcards.split:q}"
        " > {log:q} 2>&1"
