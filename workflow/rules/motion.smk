"""What DiMoFs show: the linear read-out of human motion, saliency and channels, beside optical flow (§4).

INPUTS: data/datasets/posetrack18.csv, data/pairs/posetrack18_{train,val}.parquet, results/pretrain/dimofs.safetensors.
OUTPUTS: results/motion/read_out.safetensors, the read-out; sums.parquet, what is counted for each validation video and
δ; quantities.csv, the figures of merit over δ; examples.npz, the rows of Figure 3.
"""


localrules:
    motion,


rule motion:
    input:
        "results/motion/quantities.csv",
        "results/motion/examples.npz",
    message:
        "the motion is measured"


rule fit_read_out:
    """Fit the linear read-out from the offsets at a joint to its displacement, on training pairs (§4.1, A14, A17)."""
    input:
        config=ancient(CONFIG),
        dataset="data/datasets/posetrack18.csv",
        pairs="data/pairs/posetrack18_train.parquet",
        checkpoint="results/pretrain/dimofs.safetensors",
    output:
        "results/motion/read_out.safetensors",
    log:
        "logs/motion/read_out.log",
    benchmark:
        "logs/benchmarks/motion/read_out.jsonl"
    threads: CHECKED.pose.threads
    resources:
        mem_mb=3000,
    params:
        **settings("seed", "model", "pose.batch_size", "pose.threads", "motion.read_out_pairs"),
        **code("motion_fit"),
    message:
        "fitting the linear read-out of motion; progress in {log}"
    shell:
        "dimofs motion fit"
        " --config {input.config:q}"
        " --checkpoint {input.checkpoint:q}"
        " --dataset {input.dataset:q}"
        " --pairs {input.pairs:q}"
        " --out {output:q}"
        " > {log:q} 2>&1"


rule measure_motion:
    """Sum up errors, noise and saliency of read-out, offsets and optical flow on validation pairs (§4, A18, A19)."""
    input:
        config=ancient(CONFIG),
        dataset="data/datasets/posetrack18.csv",
        pairs="data/pairs/posetrack18_val.parquet",
        checkpoint="results/pretrain/dimofs.safetensors",
        read_out="results/motion/read_out.safetensors",
    output:
        "results/motion/sums.parquet",
    log:
        "logs/motion/measure.log",
    benchmark:
        "logs/benchmarks/motion/measure.jsonl"
    threads: CHECKED.pose.threads
    resources:
        mem_mb=3000,
    params:
        **settings("model", "pose.batch_size", "pose.threads", "motion.frames"),
        **code("motion_measure"),
    message:
        "measuring motion beside optical flow; progress in {log}"
    shell:
        "dimofs motion measure"
        " --config {input.config:q}"
        " --checkpoint {input.checkpoint:q}"
        " --read-out {input.read_out:q}"
        " --dataset {input.dataset:q}"
        " --pairs {input.pairs:q}"
        " --out {output:q}"
        " > {log:q} 2>&1"


rule evaluate_motion:
    """Make the figures of merit over δ, with a paired bootstrap over videos (§4)."""
    input:
        config=ancient(CONFIG),
        sums="results/motion/sums.parquet",
    output:
        "results/motion/quantities.csv",
    log:
        "logs/motion/evaluate.log",
    benchmark:
        "logs/benchmarks/motion/evaluate.jsonl"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        **settings("seed", "paper"),
        **code("motion_evaluate"),
    message:
        "judging the motion"
    shell:
        "dimofs motion evaluate"
        " --config {input.config:q}"
        " --sums {input.sums:q}"
        " --out {output:q}"
        " > {log:q} 2>&1"


rule show_motion:
    """Gather the rows of Figure 3: pairs chosen by how much moves, and what the offsets show of them (Figure 3)."""
    input:
        config=ancient(CONFIG),
        dataset="data/datasets/posetrack18.csv",
        pairs="data/pairs/posetrack18_val.parquet",
        checkpoint="results/pretrain/dimofs.safetensors",
        read_out="results/motion/read_out.safetensors",
    output:
        "results/motion/examples.npz",
    log:
        "logs/motion/show.log",
    benchmark:
        "logs/benchmarks/motion/show.jsonl"
    threads: CHECKED.pose.threads
    resources:
        mem_mb=2000,
    params:
        **settings("seed", "model", "pose.threads"),
        **code("motion_show"),
    message:
        "gathering the rows of Figure 3"
    shell:
        "dimofs motion show"
        " --config {input.config:q}"
        " --checkpoint {input.checkpoint:q}"
        " --read-out {input.read_out:q}"
        " --dataset {input.dataset:q}"
        " --pairs {input.pairs:q}"
        " --out {output:q}"
        " > {log:q} 2>&1"
