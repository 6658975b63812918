"""Poses over time gaps: predictions of both networks, PoseTrack's mAP per joint and δ (§5, §6.1).

INPUTS: data/datasets/posetrack18.csv, data/pairs/posetrack18_val.parquet and
results/pretrain/{single_frame,dimofs}{run}.safetensors.
OUTPUTS: results/pose/{single_frame,dimofs}{run}.parquet, one row a detected person; results/pose/average_precision.csv
and differences.csv, the numbers behind Table 1 and Figure 6.
"""


localrules:
    pose,


rule pose:
    input:
        expand("results/pose/{method}{run}.parquet", method=["single_frame", "dimofs"], run=RUNS),
        "results/pose/average_precision.csv",
        "results/pose/differences.csv",
    message:
        "the poses are judged"


rule predict_poses:
    """Predict on validation videos: single_frame on every frame, dimofs on every pair (Frame A, Frame B) (§5, §6.1)."""
    input:
        config=ancient(CONFIG),
        dataset="data/datasets/posetrack18.csv",
        pairs="data/pairs/posetrack18_val.parquet",
        checkpoint="results/pretrain/{method}{run}.safetensors",
    output:
        "results/pose/{method}{run}.parquet",
    log:
        "logs/pose/{method}{run}.log",
    benchmark:
        "logs/benchmarks/pose/{method}{run}.jsonl"
    wildcard_constraints:
        method="single_frame|dimofs",
    threads: CHECKED.pose.threads
    resources:
        mem_mb=3000,
    params:
        **settings("model", "pose.batch_size", "pose.threads"),
        **code("pose_predict"),
    message:
        "predicting poses with {wildcards.method}; progress in {log}"
    shell:
        "dimofs pose predict {wildcards.method:q}"
        " --config {input.config:q}"
        " --checkpoint {input.checkpoint:q}"
        " --dataset {input.dataset:q}"
        " --pairs {input.pairs:q}"
        " --out {output:q}"
        " > {log:q} 2>&1"


rule evaluate_poses:
    """Score single frame, copy and DiMoFs by PCKh at every δ, with a paired bootstrap over videos (§6.1)."""
    input:
        config=ancient(CONFIG),
        dataset="data/datasets/posetrack18.csv",
        pairs="data/pairs/posetrack18_val.parquet",
        single_frame=expand("results/pose/single_frame{run}.parquet", run=RUNS),
        dimofs=expand("results/pose/dimofs{run}.parquet", run=RUNS),
    output:
        average_precision="results/pose/average_precision.csv",
        differences="results/pose/differences.csv",
    log:
        "logs/pose/evaluate.log",
    benchmark:
        "logs/benchmarks/pose/evaluate.jsonl"
    threads: CHECKED.pose.threads
    resources:
        mem_mb=2000,
    params:
        **settings("seed", "seeds", "pose.neck", "pose.ranked_by", "paper"),
        **code("pose_evaluate"),
    message:
        "judging the poses"
    shell:
        "dimofs pose evaluate"
        " --config {input.config:q}"
        " --dataset {input.dataset:q}"
        " --pairs {input.pairs:q}"
        " --single-frame {input.single_frame[0]:q}"
        " --dimofs {input.dimofs[0]:q}"
        " --out {output.average_precision:q}"
        " --differences {output.differences:q}"
        " > {log:q} 2>&1"
