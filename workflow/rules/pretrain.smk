"""The pose networks: still-image initialisation, then from the same weights the single-frame baseline and DiMoFs (§3).

INPUTS: data/datasets/{stills,posetrack18}.csv and data/pairs/{stills_train,posetrack18_train,posetrack18_val}.parquet;
without the stills where the initialisation is of weights that torchvision publishes.
OUTPUTS: results/pretrain/{still,single_frame,dimofs}{run}.safetensors, the checkpoints, and .csv, their curves.
A training that was stopped goes on from its resume point in .resume/.
"""


localrules:
    pretrain,


rule pretrain:
    input:
        expand(
            "results/pretrain/{network}{run}{end}",
            network=["still", "single_frame", "dimofs"],
            run=RUNS,
            end=[".safetensors", ".csv"],
        ),
    params:
        **settings("seeds"),
    message:
        "the pose networks are trained"


# What all trainings of the chapter read, beside their budget.
PRETRAIN_KEYS = [
    f"pretrain.{key}"
    for key in (
        "initial_weights",
        "frozen_stages",
        "recompute_offsets",
        "augmentation",
        "validation_frames",
    )
]
FETCH_KEYS = [
    "pretrain.initial_weights",
    "pretrain.validation_frames",
    "pretrain.pose.threads",
]


if STILLS:

    rule train_still:
        """Train the detector on still images, where the paper starts from COCO weights (§3, A12)."""
        input:
            config=ancient(CONFIG),
            dataset="data/datasets/stills.csv",
            pairs="data/pairs/stills_train.parquet",
            val_dataset="data/datasets/posetrack18.csv",
            val_pairs="data/pairs/posetrack18_val.parquet",
        output:
            checkpoint="results/pretrain/still{run}.safetensors",
            curve="results/pretrain/still{run}.csv",
        log:
            "logs/pretrain/still{run}.log",
        benchmark:
            "logs/benchmarks/pretrain/still{run}.jsonl"
        priority: 2  # nearly everything waits for it
        threads: CHECKED.pretrain.still.threads
        resources:
            mem_mb=3000,
            processes=1,
        params:
            **settings("model", *PRETRAIN_KEYS, "pretrain.still"),
            **code("pretrain"),
            seed=lambda wildcards: run_seed(wildcards.run),
        message:
            "training on still images; progress in {log}"
        shell:
            "dimofs pretrain still"
            " --config {input.config:q}"
            " --dataset {input.dataset:q}"
            " --pairs {input.pairs:q}"
            " --val-dataset {input.val_dataset:q}"
            " --val-pairs {input.val_pairs:q}"
            " --{params.seed:q}"
            " --out {output.checkpoint:q}"
            " --curve {output.curve:q}"
            " --processes {resources.processes:q}"
            " --resume .resume/pretrain/still{wildcards.run:q}"
            " > {log:q} 2>&1"

else:

    rule fetch_still:
        """Take weights that torchvision publishes, of ImageNet or COCO keypoints, with the file's hash checked (§3, A12)."""
        input:
            config=ancient(CONFIG),
            val_dataset="data/datasets/posetrack18.csv",
            val_pairs="data/pairs/posetrack18_val.parquet",
        output:
            checkpoint="results/pretrain/still{run}.safetensors",
            curve="results/pretrain/still{run}.csv",
        log:
            "logs/pretrain/still{run}.log",
        benchmark:
            "logs/benchmarks/pretrain/still{run}.jsonl"
        threads: CHECKED.pretrain.pose.threads
        resources:
            mem_mb=3000,
        params:
            **settings("model", *FETCH_KEYS),
            **code("initial_weights"),
            seed=lambda wildcards: run_seed(wildcards.run),
        message:
            "fetching initial weights; progress in {log}"
        shell:
            "dimofs initial-weights"
            " --config {input.config:q}"
            " --val-dataset {input.val_dataset:q}"
            " --val-pairs {input.val_pairs:q}"
            " --{params.seed:q}"
            " --out {output.checkpoint:q}"
            " --curve {output.curve:q}"
            " > {log:q} 2>&1"


rule train_pose:
    """Train the single-frame baseline or DiMoFs, with equal budgets from equal weights (§3, §6.1)."""
    input:
        config=ancient(CONFIG),
        dataset="data/datasets/posetrack18.csv",
        pairs="data/pairs/posetrack18_train.parquet",
        val_pairs="data/pairs/posetrack18_val.parquet",
        initial="results/pretrain/still{run}.safetensors",
    output:
        checkpoint="results/pretrain/{network}{run}.safetensors",
        curve="results/pretrain/{network}{run}.csv",
    log:
        "logs/pretrain/{network}{run}.log",
    benchmark:
        "logs/benchmarks/pretrain/{network}{run}.jsonl"
    wildcard_constraints:
        network="single_frame|dimofs",
    priority: 2  # most of what follows waits for dimofs
    threads: CHECKED.pretrain.pose.threads
    resources:
        mem_mb=3000,
        processes=1,
    params:
        **settings("model", *PRETRAIN_KEYS, "pretrain.pose"),
        **code("pretrain"),
        seed=lambda wildcards: run_seed(wildcards.run),
    message:
        "training {wildcards.network}; progress in {log}"
    shell:
        "dimofs pretrain {wildcards.network:q}"
        " --config {input.config:q}"
        " --dataset {input.dataset:q}"
        " --pairs {input.pairs:q}"
        " --val-dataset {input.dataset:q}"
        " --val-pairs {input.val_pairs:q}"
        " --init {input.initial:q}"
        " --{params.seed:q}"
        " --out {output.checkpoint:q}"
        " --curve {output.curve:q}"
        " --processes {resources.processes:q}"
        " --resume .resume/pretrain/{wildcards.network:q}{wildcards.run:q}"
        " > {log:q} 2>&1"
