"""Motions that nobody here wrote: the δ-sweep and the figures of merit on videos of recorded motions (§4, §6.1).

The clips are those of the package pybullet, an optional extra, so no target but this file's own asks for any of it, and
nothing is trained on it.

INPUTS: the clips of the installed package; results/pretrain/{single_frame,dimofs}{run}.safetensors and
results/motion/read_out.safetensors, all of them made from other data.
OUTPUTS: data/motion_capture/ with its manifest; results/motion_capture/, as in the chapters pose and motion; and
results/motion_capture.{csv,pdf,png} and motion_capture_motion.csv.
"""


localrules:
    list_captured_pairs,
    motion_capture_tables,


rule render_captured:
    """Render people who move as real people did; a validation part of its own (§6.1)."""
    input:
        config=ancient(CONFIG),
    output:
        manifest="data/motion_capture.csv",
        folder=directory("data/motion_capture"),
    log:
        "logs/motion_capture/render.log",
    benchmark:
        "logs/benchmarks/motion_capture/render.jsonl"
    threads: CPUS
    resources:
        mem_mb=2000,
    params:
        **settings("seed", "datasets.frame_size", "datasets.posetrack18", "datasets.motion_capture"),
        **code("datasets_render"),
    message:
        "rendering motion_capture; progress in {log}"
    shell:
        "dimofs datasets render motion_capture"
        " --config {input.config:q}"
        " --manifest {output.manifest:q}"
        " --workers {threads}"
        " > {log:q} 2>&1"


rule list_captured_pairs:
    """List the pairs as those of the validation videos are listed (§5)."""
    input:
        config=ancient(CONFIG),
        dataset="data/motion_capture.csv",
    output:
        "results/motion_capture/pairs.parquet",
    log:
        "logs/motion_capture/pairs.log",
    benchmark:
        "logs/benchmarks/motion_capture/pairs.jsonl"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        **settings("pairs.posetrack18_val"),
        **code("pairs_index"),
    message:
        "listing the pairs of motion_capture"
    shell:
        "dimofs pairs posetrack18 val"
        " --config {input.config:q}"
        " --dataset {input.dataset:q}"
        " --out {output:q}"
        " > {log:q} 2>&1"


# What follows is the rule of another chapter with other files.


use rule predict_poses as predict_captured_poses with:
    input:
        config=ancient(CONFIG),
        dataset="data/motion_capture.csv",
        pairs="results/motion_capture/pairs.parquet",
        checkpoint="results/pretrain/{method}{run}.safetensors",
    output:
        "results/motion_capture/{method}{run}.parquet",
    log:
        "logs/motion_capture/{method}{run}.log",
    benchmark:
        "logs/benchmarks/motion_capture/{method}{run}.jsonl"


use rule evaluate_poses as evaluate_captured_poses with:
    input:
        config=ancient(CONFIG),
        dataset="data/motion_capture.csv",
        pairs="results/motion_capture/pairs.parquet",
        single_frame=expand("results/motion_capture/single_frame{run}.parquet", run=RUNS),
        dimofs=expand("results/motion_capture/dimofs{run}.parquet", run=RUNS),
    output:
        average_precision="results/motion_capture/average_precision.csv",
        differences="results/motion_capture/differences.csv",
    log:
        "logs/motion_capture/evaluate_poses.log",
    benchmark:
        "logs/benchmarks/motion_capture/evaluate_poses.jsonl"


use rule measure_motion as measure_captured_motion with:
    input:
        config=ancient(CONFIG),
        dataset="data/motion_capture.csv",
        pairs="results/motion_capture/pairs.parquet",
        checkpoint="results/pretrain/dimofs.safetensors",
        read_out="results/motion/read_out.safetensors",
    output:
        "results/motion_capture/sums.parquet",
    log:
        "logs/motion_capture/measure_motion.log",
    benchmark:
        "logs/benchmarks/motion_capture/measure_motion.jsonl"


use rule evaluate_motion as evaluate_captured_motion with:
    input:
        config=ancient(CONFIG),
        sums="results/motion_capture/sums.parquet",
    output:
        "results/motion_capture/quantities.csv",
    log:
        "logs/motion_capture/evaluate_motion.log",
    benchmark:
        "logs/benchmarks/motion_capture/evaluate_motion.jsonl"


rule motion_capture_tables:
    """The δ-sweep of Figure 6 and the figures of merit of motion, on recorded motions (§4, §6.1)."""
    input:
        average_precision="results/motion_capture/average_precision.csv",
        differences="results/motion_capture/differences.csv",
        quantities="results/motion_capture/quantities.csv",
    output:
        sweep="results/motion_capture.csv",
        motion="results/motion_capture_motion.csv",
        pdf="results/motion_capture.pdf",
        png="results/motion_capture.png",
    log:
        "logs/motion_capture/tables.log",
    benchmark:
        "logs/benchmarks/motion_capture/tables.jsonl"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        **code("motion_capture"),
    message:
        "writing the tables of motion_capture"
    shell:
        "dimofs paper motion-capture"
        " --average-precision {input.average_precision:q}"
        " --differences {input.differences:q}"
        " --quantities {input.quantities:q}"
        " --out {output.sweep:q}"
        " --motion-out {output.motion:q}"
        " --figure {output.pdf:q}"
        " --png {output.png:q}"
        " > {log:q} 2>&1"
