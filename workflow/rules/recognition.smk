"""Classes of dives: our descriptors, and the rows of Table 4 judged together (§5.2, §6.3).

INPUTS: data/datasets/diving48.csv, data/pairs/diving48_{train,test}.parquet, results/clusters/*.parquet,
results/features/train.parquet, results/features/pca.safetensors, results/pretrain/{still,dimofs}.safetensors.
OUTPUTS: results/recognition/network.safetensors and .csv (curve) of Ours-final, activations.parquet, what it says of
every dive; <name>.parquet, the test dives' scores by every row of config/recognition.tsv and by scene_only;
accuracy.csv and differences.csv, the numbers behind Table 4; cost_{ours,rivals}.csv, whose seconds differ from run to run.
"""


localrules:
    recognition,


rule recognition:
    input:
        expand("results/recognition/{name}.parquet", name=[*ROWS, *SCENE_CONTROL]),
        "results/recognition/network.csv",
        expand("results/recognition/{table}.csv", table=["accuracy", "differences", "cost_ours", "cost_rivals"]),
    message:
        "the dives are recognised"


rule train_recognition:
    """Train the network of §5.1 to predict the clusters of people, from the DiMoFs weights on (§5.2, A36)."""
    input:
        config=ancient(CONFIG),
        dataset="data/datasets/diving48.csv",
        ids="results/clusters/pose_dimofs.parquet",
        features="results/features/train.parquet",
        initial="results/pretrain/dimofs.safetensors",
    output:
        checkpoint="results/recognition/network.safetensors",
        curve="results/recognition/network.csv",
    log:
        "logs/recognition/network.log",
    benchmark:
        "logs/benchmarks/recognition/network.jsonl"
    priority: 2  # in the longest chain of jobs, to the last row of Table 4
    threads: CHECKED.recognition.final.training.threads
    resources:
        mem_mb=3000,
    params:
        **settings("model", "pairs.diving48_labels", "clusters.clusters", "recognition.final"),
        **settings(*CLUSTER_NETWORK),
        **code("recognition_train"),
        seed=run_seed(""),
    message:
        "training a network to predict clusters; progress in {log}"
    shell:
        "dimofs recognition train"
        " --config {input.config:q}"
        " --dataset {input.dataset:q}"
        " --ids {input.ids:q}"
        " --features {input.features:q}"
        " --init {input.initial:q}"
        " --{params.seed:q}"
        " --out {output.checkpoint:q}"
        " --curve {output.curve:q}"
        " --resume .resume/recognition/network"
        " > {log:q} 2>&1"


rule describe_dives:
    """Sum up the clusters that the network sees, over all pairs of every dive (§5.2, A38)."""
    input:
        config=ancient(CONFIG),
        dataset="data/datasets/diving48.csv",
        train_pairs="data/pairs/diving48_train.parquet",
        test_pairs="data/pairs/diving48_test.parquet",
        checkpoint="results/recognition/network.safetensors",
    output:
        "results/recognition/activations.parquet",
    log:
        "logs/recognition/activations.log",
    benchmark:
        "logs/benchmarks/recognition/activations.jsonl"
    priority: 2  # in the longest chain of jobs, to the last row of Table 4
    threads: CHECKED.recognition.final.training.threads
    resources:
        mem_mb=3000,
    params:
        **settings("seed", "model", "pairs.diving48_labels", "clusters.clusters", "recognition.final"),
        **settings(*CLUSTER_NETWORK),
        **code("recognition_describe"),
    message:
        "looking for clusters in every dive; progress in {log}"
    shell:
        "dimofs recognition describe"
        " --config {input.config:q}"
        " --checkpoint {input.checkpoint:q}"
        " --dataset {input.dataset:q}"
        " --train-pairs {input.train_pairs:q}"
        " --test-pairs {input.test_pairs:q}"
        " --out {output:q}"
        " --resume .resume/recognition/activations"
        " > {log:q} 2>&1"


rule classify_histograms:
    """Recognise dives by the histograms of their clusters: Ours-init (§6.3, A37)."""
    input:
        config=ancient(CONFIG),
        dataset="data/datasets/diving48.csv",
        ids="results/clusters/{kind}.parquet",
    output:
        "results/recognition/init_{kind}.parquet",
    log:
        "logs/recognition/init_{kind}.log",
    benchmark:
        "logs/benchmarks/recognition/init_{kind}.jsonl"
    wildcard_constraints:
        kind="|".join(CLUSTERED),
    threads: 1
    resources:
        mem_mb=1000,
    params:
        **settings("seed", "pairs.diving48_labels", "clusters.clusters", "recognition.classifier"),
        **code("recognition_classify_histograms"),
    message:
        "recognising dives by histograms of {wildcards.kind}"
    shell:
        "dimofs recognition classify-histograms"
        " --config {input.config:q}"
        " --dataset {input.dataset:q}"
        " --ids {input.ids:q}"
        " --out {output:q}"
        " > {log:q} 2>&1"


rule classify_activations:
    """Recognise dives by the clusters that the network sees in them: Ours-final (§6.3, A38)."""
    input:
        config=ancient(CONFIG),
        dataset="data/datasets/diving48.csv",
        activations="results/recognition/activations.parquet",
    output:
        "results/recognition/final.parquet",
    log:
        "logs/recognition/final.log",
    benchmark:
        "logs/benchmarks/recognition/final.jsonl"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        **settings("seed", "pairs.diving48_labels", "recognition.classifier"),
        **code("recognition_classify_activations"),
    message:
        "recognising dives by what the network says of them"
    shell:
        "dimofs recognition classify-activations"
        " --config {input.config:q}"
        " --dataset {input.dataset:q}"
        " --activations {input.activations:q}"
        " --out {output:q}"
        " > {log:q} 2>&1"


rule classify_scenes:
    """Recognise dives by their scenes, the divers hidden: what the pool gives away (§6.3)."""
    input:
        config=ancient(CONFIG),
        dataset="data/datasets/diving48.csv",
        checkpoint="results/pretrain/still.safetensors",
    output:
        "results/recognition/scene_only.parquet",
    log:
        "logs/recognition/scene_only.log",
    benchmark:
        "logs/benchmarks/recognition/scene_only.jsonl"
    threads: CHECKED.recognition.final.training.threads
    resources:
        mem_mb=2000,
    params:
        **settings("seed", "model", "pairs.diving48_labels", "recognition.classifier", "recognition.scene_frames"),
        **settings("recognition.final.training.threads"),
        **code("recognition_classify_scenes"),
    message:
        "recognising dives by their scenes"
    shell:
        "dimofs recognition classify-scenes"
        " --config {input.config:q}"
        " --checkpoint {input.checkpoint:q}"
        " --dataset {input.dataset:q}"
        " --out {output:q}"
        " > {log:q} 2>&1"


rule cost_ours:
    """Measure what our rows of Table 4 cost for one video; the seconds differ from run to run (§6.3)."""
    input:
        config=ancient(CONFIG),
        dataset="data/datasets/diving48.csv",
        pairs="data/pairs/diving48_test.parquet",
        detector="results/pretrain/dimofs.safetensors",
        pca="results/features/pca.safetensors",
        network="results/recognition/network.safetensors",
        pose="results/clusters/pose.parquet",
        pose_flow="results/clusters/pose_flow.parquet",
        pose_dimofs="results/clusters/pose_dimofs.parquet",
        activations="results/recognition/activations.parquet",
    output:
        "results/recognition/cost_ours.csv",
    log:
        "logs/recognition/cost_ours.log",
    benchmark:
        "logs/benchmarks/recognition/cost_ours.jsonl"
    threads: 1
    resources:
        mem_mb=3000,
    params:
        **settings("seed", "model", "pairs.diving48_labels", "features", "clusters.clusters", "recognition.final"),
        **settings("recognition.classifier", *CLUSTER_NETWORK),
        **code("recognition_cost_ours"),
    message:
        "measuring what our recognition costs"
    shell:
        "dimofs recognition cost-ours"
        " --config {input.config:q}"
        " --detector {input.detector:q}"
        " --pca {input.pca:q}"
        " --network {input.network:q}"
        " --dataset {input.dataset:q}"
        " --pairs {input.pairs:q}"
        " --pose {input.pose:q}"
        " --pose-flow {input.pose_flow:q}"
        " --pose-dimofs {input.pose_dimofs:q}"
        " --activations {input.activations:q}"
        " --out {output:q}"
        " > {log:q} 2>&1"


rule train_rival:
    """Train one network of others on the corpus of actions, or on the dives: all with one budget (§6.3, Table 4)."""
    input:
        config=ancient(CONFIG),
        dataset=lambda wildcards: f"data/datasets/{'corpus' if wildcards.rival in CORPUS else 'diving48'}.csv",
        initial=lambda wildcards: RIVALS[wildcards.rival],
    output:
        checkpoint="results/recognition/{rival}.safetensors",
        curve="results/recognition/{rival}.csv",
    log:
        "logs/recognition/{rival}.log",
    benchmark:
        "logs/benchmarks/recognition/{rival}.jsonl"
    wildcard_constraints:
        rival="|".join(RIVALS),
    threads: CHECKED.recognition.rivals.training.threads
    resources:
        mem_mb=lambda wildcards: rival_memory(wildcards.rival),
    params:
        **settings("model"),
        **code("recognition_train_rival"),
        budget=lambda wildcards: rival_settings(wildcards.rival),
        seed=run_seed(""),
    message:
        "training {wildcards.rival}; progress in {log}"
    shell:
        "dimofs recognition train-rival {wildcards.rival:q} {input.initial:q}"
        " --config {input.config:q}"
        " --dataset {input.dataset:q}"
        " --{params.seed:q}"
        " --out {output.checkpoint:q}"
        " --curve {output.curve:q}"
        " --resume .resume/recognition/{wildcards.rival:q}"
        " > {log:q} 2>&1"


rule predict_rivals:
    """Recognise dives by the networks of others, several views of each; the seconds of their costs differ (§6.3)."""
    input:
        config=ancient(CONFIG),
        dataset="data/datasets/diving48.csv",
        checkpoints=expand("results/recognition/{rival}.safetensors", rival=[r for r in RIVALS if r not in CORPUS]),
    output:
        expand("results/recognition/{row}.parquet", row=RIVAL_ROWS),
        "results/recognition/r2plus1d_pretrained_hold_out.parquet",
        "results/recognition/cost_rivals.csv",
    log:
        "logs/recognition/rivals.log",
    benchmark:
        "logs/benchmarks/recognition/rivals.jsonl"
    threads: CHECKED.recognition.rivals.training.threads
    resources:
        mem_mb=3000,
    params:
        **settings("model", "pairs.diving48_labels", "recognition.rivals"),
        **code("recognition_predict_rivals"),
    message:
        "recognising dives by the networks of others; progress in {log}"
    shell:
        "dimofs recognition predict-rivals"
        " --config {input.config:q}"
        " --dataset {input.dataset:q}"
        " --folder results/recognition"
        " > {log:q} 2>&1"


rule fuse_recognition:
    """Fuse Ours-final and R(2+1)D by a weight chosen on training dives whose labels neither has seen (§6.3, A39)."""
    input:
        config=ancient(CONFIG),
        dataset="data/datasets/diving48.csv",
        activations="results/recognition/activations.parquet",
        ours="results/recognition/final.parquet",
        theirs="results/recognition/r2plus1d_pretrained.parquet",
        theirs_held_out="results/recognition/r2plus1d_pretrained_hold_out.parquet",
    output:
        fusion="results/recognition/fusion.parquet",
        weights="results/recognition/fusion_weights.csv",
    log:
        "logs/recognition/fusion.log",
    benchmark:
        "logs/benchmarks/recognition/fusion.jsonl"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        **settings("seed", "pairs.diving48_labels", "recognition.classifier"),
        **code("recognition_fuse"),
    message:
        "fusing Ours-final and R(2+1)D"
    shell:
        "dimofs recognition fuse"
        " --config {input.config:q}"
        " --dataset {input.dataset:q}"
        " --activations {input.activations:q}"
        " --ours {input.ours:q}"
        " --theirs {input.theirs:q}"
        " --theirs-held-out {input.theirs_held_out:q}"
        " --out {output.fusion:q}"
        " --weights {output.weights:q}"
        " > {log:q} 2>&1"


rule evaluate_recognition:
    """Judge the rows of Table 4 beside chance and controls, with paired intervals over source videos (§6.3)."""
    input:
        config=ancient(CONFIG),
        rows=ancient(RECOGNITION),
        dataset="data/datasets/diving48.csv",
        predictions=expand("results/recognition/{name}.parquet", name=[*ROWS, *SCENE_CONTROL]),
    output:
        accuracy="results/recognition/accuracy.csv",
        differences="results/recognition/differences.csv",
    log:
        "logs/recognition/evaluate.log",
    benchmark:
        "logs/benchmarks/recognition/evaluate.jsonl"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        **settings("seed", "paper", "datasets.source", "pairs.diving48_labels"),
        **code("recognition_evaluate"),
        rows=[f"{row.name}={row.paper_accuracy}" for row in ROWS.values()],
    message:
        "judging the recognition of dives"
    shell:
        "dimofs recognition evaluate"
        " --config {input.config:q}"
        " --rows {input.rows:q}"
        " --dataset {input.dataset:q}"
        " --predictions results/recognition"
        " --out {output.accuracy:q}"
        " --differences {output.differences:q}"
        " > {log:q} 2>&1"
