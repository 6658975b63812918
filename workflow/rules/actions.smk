"""The two-branch action localiser, its ablations and its δ-sweep on JHMDB (§5.1, §6.2).

INPUTS: data/datasets/jhmdb.csv, data/pairs/jhmdb_{train,test}.parquet and, as the rows of config/ablations.tsv ask for
them, results/pretrain/{still,single_frame,dimofs}{run}.safetensors.
OUTPUTS: results/actions/<training>{run}.safetensors, .csv (curve) and .parquet (detections) for every training of the
sheet, <training>_sweep{run}.parquet for those of `actions.sweep`; columns.csv and differences.csv, the numbers behind
Table 3, sweep.csv and sweep_differences.csv, those behind Figure 7.
"""


localrules:
    actions,


rule actions:
    input:
        expand(
            "results/actions/{training}{run}{end}",
            training=TRAININGS,
            run=RUNS,
            end=[".safetensors", ".csv", ".parquet"],
        ),
        expand("results/actions/{training}_sweep{run}.parquet", training=CHECKED.actions.sweep, run=RUNS),
        expand("results/actions/{table}.csv", table=["columns", "differences", "sweep", "sweep_differences"]),
    message:
        "the actions are judged"


rule train_actions:
    """Train one localiser; columns of Table 3 that differ in δ alone share it (§5.1, A27, A30)."""
    input:
        config=ancient(CONFIG),
        ablations=ancient(ABLATIONS),
        dataset="data/datasets/jhmdb.csv",
        pairs="data/pairs/jhmdb_train.parquet",
        initial=lambda wildcards: initial_weights(wildcards.training, wildcards.run),
    output:
        checkpoint="results/actions/{training}{run}.safetensors",
        curve="results/actions/{training}{run}.csv",
    log:
        "logs/actions/{training}{run}.log",
    benchmark:
        "logs/benchmarks/actions/{training}{run}.jsonl"
    wildcard_constraints:
        training="|".join(TRAININGS),
    # The long jobs first, the short ones fill the gaps; with a flow from outside, training and prediction are the longest.
    priority: lambda wildcards: 2 if find_training(COLUMNS, wildcards.training).motion == "flow" else 1
    threads: CHECKED.actions.training.threads
    resources:
        mem_mb=3000,
        processes=1,
    params:
        **settings("model", "pairs.jhmdb_split", "actions.training", "actions.augmentation"),
        **settings(
            "actions.train_detector",
            "actions.mlp_features",
            "actions.positive_fraction",
            "actions.box_loss_weight",
            "actions.scale_offsets_by_stride",
            "actions.inflated_frames",
        ),
        **settings("pretrain.initial_weights", "actions.proposals_test"),
        **settings("actions.score_threshold", "actions.nms_threshold"),
        **code("actions_train"),
        plan=lambda wildcards: plan(wildcards.training),
        seed=lambda wildcards: run_seed(wildcards.run),
    message:
        "training the action localiser {wildcards.training}; progress in {log}"
    shell:
        "dimofs actions train {wildcards.training:q}"
        " --config {input.config:q}"
        " --ablations {input.ablations:q}"
        " --dataset {input.dataset:q}"
        " --pairs {input.pairs:q}"
        " --init {input.initial:q}"
        " --{params.seed:q}"
        " --out {output.checkpoint:q}"
        " --curve {output.curve:q}"
        " --processes {resources.processes:q}"
        " --resume .resume/actions/{wildcards.training:q}{wildcards.run:q}"
        " > {log:q} 2>&1"


rule predict_columns:
    """Localise actions on the test split at the δ that the columns of Table 3 ask for (§6.2)."""
    input:
        config=ancient(CONFIG),
        ablations=ancient(ABLATIONS),
        dataset="data/datasets/jhmdb.csv",
        pairs="data/pairs/jhmdb_test.parquet",
        checkpoint="results/actions/{training}{run}.safetensors",
    output:
        "results/actions/{training}{run}.parquet",
    log:
        "logs/actions/{training}_columns{run}.log",
    benchmark:
        "logs/benchmarks/actions/{training}_columns{run}.jsonl"
    wildcard_constraints:
        training="|".join(TRAININGS),
    threads: CHECKED.actions.training.threads
    resources:
        mem_mb=3000,
    params:
        **settings("model", *ACTIONS, "pairs.jhmdb_split"),
        **code("actions_predict"),
        plan=lambda wildcards: plan(wildcards.training),
        deltas=lambda wildcards: column_deltas(wildcards.training),
    message:
        "localising actions with {wildcards.training}; progress in {log}"
    shell:
        "dimofs actions predict {wildcards.training:q}"
        " --config {input.config:q}"
        " --ablations {input.ablations:q}"
        " --dataset {input.dataset:q}"
        " --pairs {input.pairs:q}"
        " --checkpoint {input.checkpoint:q}"
        " --deltas columns"
        " --out {output:q}"
        " > {log:q} 2>&1"


rule predict_sweep:
    """Localise actions on the test split at every δ of Figure 7 (§6.2)."""
    input:
        config=ancient(CONFIG),
        ablations=ancient(ABLATIONS),
        dataset="data/datasets/jhmdb.csv",
        pairs="data/pairs/jhmdb_test.parquet",
        checkpoint="results/actions/{training}{run}.safetensors",
    output:
        "results/actions/{training}_sweep{run}.parquet",
    log:
        "logs/actions/{training}_sweep{run}.log",
    benchmark:
        "logs/benchmarks/actions/{training}_sweep{run}.jsonl"
    wildcard_constraints:
        training="|".join(TRAININGS),
    threads: CHECKED.actions.training.threads
    resources:
        mem_mb=3000,
    params:
        **settings("model", *ACTIONS, "pairs.jhmdb_split"),
        **code("actions_predict"),
        plan=lambda wildcards: plan(wildcards.training),
    message:
        "localising actions with {wildcards.training} over all δ; progress in {log}"
    shell:
        "dimofs actions predict {wildcards.training:q}"
        " --config {input.config:q}"
        " --ablations {input.ablations:q}"
        " --dataset {input.dataset:q}"
        " --pairs {input.pairs:q}"
        " --checkpoint {input.checkpoint:q}"
        " --deltas sweep"
        " --out {output:q}"
        " > {log:q} 2>&1"


rule evaluate_columns:
    """Score every column of Table 3 by frame-mAP, with paired differences over clips (§6.2)."""
    input:
        config=ancient(CONFIG),
        ablations=ABLATIONS,
        dataset="data/datasets/jhmdb.csv",
        detections=expand("results/actions/{training}{run}.parquet", training=TRAININGS, run=RUNS),
    output:
        columns="results/actions/columns.csv",
        differences="results/actions/differences.csv",
    log:
        "logs/actions/evaluate_columns.log",
    benchmark:
        "logs/benchmarks/actions/evaluate_columns.jsonl"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        **settings("seed", "seeds", "paper", "pairs.jhmdb_split"),
        **code("actions_evaluate_columns"),
    message:
        "judging the columns of Table 3"
    shell:
        "dimofs actions evaluate-columns"
        " --config {input.config:q}"
        " --ablations {input.ablations:q}"
        " --dataset {input.dataset:q}"
        " --detections results/actions"
        " --out {output.columns:q}"
        " --differences {output.differences:q}"
        " > {log:q} 2>&1"


rule evaluate_sweep:
    """Score the sweep over δ by frame-mAP, with the share of clamped pairs (§6.2)."""
    input:
        config=ancient(CONFIG),
        dataset="data/datasets/jhmdb.csv",
        pairs="data/pairs/jhmdb_test.parquet",
        detections=expand("results/actions/{training}_sweep{run}.parquet", training=CHECKED.actions.sweep, run=RUNS),
    output:
        sweep="results/actions/sweep.csv",
        differences="results/actions/sweep_differences.csv",
    log:
        "logs/actions/evaluate_sweep.log",
    benchmark:
        "logs/benchmarks/actions/evaluate_sweep.jsonl"
    threads: 1
    resources:
        mem_mb=3000,
    params:
        **settings("seed", "seeds", "actions.sweep", "paper", "pairs.jhmdb_split"),
        **code("actions_evaluate_sweep"),
    message:
        "judging the sweep over δ"
    shell:
        "dimofs actions evaluate-sweep"
        " --config {input.config:q}"
        " --dataset {input.dataset:q}"
        " --pairs {input.pairs:q}"
        " --detections results/actions"
        " --out {output.sweep:q}"
        " --differences {output.differences:q}"
        " > {log:q} 2>&1"
