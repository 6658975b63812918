"""Tracks over the validation videos and their MOTA (§5, §6.1).

INPUTS: data/datasets/posetrack18.csv, data/pairs/posetrack18_val.parquet, results/pretrain/dimofs{run}.safetensors
and results/pose/single_frame{run}.parquet, which covers every frame.
OUTPUTS: results/tracking/dimofs_detections{run}.parquet, poses on every frame; {single_frame,dimofs}{run}.parquet, the
tracks; metrics.csv and differences.csv, the numbers behind Table 2.
"""


localrules:
    tracking,


rule tracking:
    input:
        "results/tracking/metrics.csv",
        "results/tracking/differences.csv",
    message:
        "the tracks are judged"


rule predict_every_frame:
    """Predict poses with DiMoFs at δ = 0 on every frame, as the baseline does: tracks need the unlabelled ones (§5)."""
    input:
        config=ancient(CONFIG),
        dataset="data/datasets/posetrack18.csv",
        pairs="data/pairs/posetrack18_val.parquet",
        checkpoint="results/pretrain/dimofs{run}.safetensors",
    output:
        "results/tracking/dimofs_detections{run}.parquet",
    log:
        "logs/tracking/predict{run}.log",
    benchmark:
        "logs/benchmarks/tracking/predict{run}.jsonl"
    threads: CHECKED.pose.threads
    resources:
        mem_mb=3000,
    params:
        **settings("model", "pose.batch_size", "pose.threads"),
        **code("tracking_predict"),
    message:
        "predicting poses on every frame; progress in {log}"
    shell:
        "dimofs tracking predict"
        " --config {input.config:q}"
        " --checkpoint {input.checkpoint:q}"
        " --dataset {input.dataset:q}"
        " --pairs {input.pairs:q}"
        " --out {output:q}"
        " > {log:q} 2>&1"


rule link_tracks:
    """Link the poses of consecutive frames by every linker at every operating point (§5, A23, A24)."""
    input:
        config=ancient(CONFIG),
        detections=lambda wildcards: TRACKED[wildcards.method].format(run=wildcards.run),
    output:
        "results/tracking/{method}{run}.parquet",
    log:
        "logs/tracking/link_{method}{run}.log",
    benchmark:
        "logs/benchmarks/tracking/link_{method}{run}.jsonl"
    wildcard_constraints:
        method="single_frame|dimofs",
    threads: 1
    resources:
        mem_mb=2000,
    params:
        **settings("tracking"),
        **code("tracking_link"),
    message:
        "linking the poses of {wildcards.method}"
    shell:
        "dimofs tracking link"
        " --config {input.config:q}"
        " --detections {input.detections:q}"
        " --out {output:q}"
        " > {log:q} 2>&1"


rule evaluate_tracking:
    """Score the tracks by poseval's rules, with a paired bootstrap over videos (§6.1)."""
    input:
        config=ancient(CONFIG),
        dataset="data/datasets/posetrack18.csv",
        single_frame=expand("results/tracking/single_frame{run}.parquet", run=RUNS),
        dimofs=expand("results/tracking/dimofs{run}.parquet", run=RUNS),
    output:
        metrics="results/tracking/metrics.csv",
        differences="results/tracking/differences.csv",
    log:
        "logs/tracking/evaluate.log",
    benchmark:
        "logs/benchmarks/tracking/evaluate.jsonl"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        **settings("seed", "seeds", "pose.neck", "pose.ranked_by", "tracking.operating_points", "paper"),
        **code("tracking_evaluate"),
    message:
        "judging the tracks"
    shell:
        "dimofs tracking evaluate"
        " --config {input.config:q}"
        " --dataset {input.dataset:q}"
        " --single-frame {input.single_frame[0]:q}"
        " --dimofs {input.dimofs[0]:q}"
        " --out {output.metrics:q}"
        " --differences {output.differences:q}"
        " > {log:q} 2>&1"
