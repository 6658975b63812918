"""Which dive it is, by the networks of others: TSN, TRN, C3D and R(2+1)D (§5.2, §6.3).

INPUTS: data/datasets/{diving48,corpus}.csv, results/pretrain/still.safetensors.
OUTPUTS: results/recognition/<rival>.safetensors and .csv (curve); <row>.parquet, what each row of Table 4 says about the
test dives; cost_rivals.csv, what it costs.
"""


localrules:
    recognition,


rule recognition:
    input:
        expand("results/recognition/{row}.parquet", row=RIVALS),
        "results/recognition/cost_rivals.csv",
    message:
        "the dives are recognised"


rule train_rival:
    """Train one network of others on the corpus of actions or on the dives, all with one budget (§6.3, Table 4)."""
    input:
        config=ancient(CONFIG),
        dataset=lambda wildcards: rival_dataset(wildcards.rival),
        initial=lambda wildcards: rival_initial(wildcards.rival),
    output:
        checkpoint="results/recognition/{rival}.safetensors",
        curve="results/recognition/{rival}.csv",
    log:
        "logs/recognition/{rival}.log",
    benchmark:
        "logs/benchmarks/recognition/{rival}.jsonl"
    wildcard_constraints:
        rival="|".join([*RIVALS, *RIVALS_BESIDE]),
    threads: CHECKED.recognition.rivals.training.threads
    resources:
        mem_mb=3000,
    params:
        **settings("model", "pairs.diving48_labels", *(f"recognition.rivals.{key}" for key in RIVAL_KEYS)),
        **code("recognition_train_rival"),
        budget=lambda wildcards: rival_budget(wildcards.rival),
        seed=run_seed(""),
    message:
        "training {wildcards.rival}; progress in {log}"
    shell:
        "dimofs recognition train-rival {wildcards.rival:q}"
        " --config {input.config:q}"
        " --dataset {input.dataset:q}"
        " --init {input.initial:q}"
        " --{params.seed:q}"
        " --out {output.checkpoint:q}"
        " --curve {output.curve:q}"
        " --resume .resume/recognition/{wildcards.rival:q}"
        " > {log:q} 2>&1"
