"""Learning Discriminative Motion Features Through Detection (arXiv:1812.04172), one chapter of rules per part of the paper.

`snakemake --cores 8 results/table3.csv` makes Table 3; no target makes every table and figure; the name of a chapter
makes that chapter. Run in another folder that has its own `config/` with `--directory scenarios/smoke`.
"""

from snakemake.utils import min_version

min_version("9.20")


configfile: "config/config.yaml"


report: "workflow/report/workflow.rst"


localrules:
    report_page,


# Checks the configuration, so it comes before all rules.
include: "workflow/rules/common.smk"


rule all:
    input:
        "results/table1.csv",
        "results/table2.csv",
        "results/motion.csv",
        multiext("results/figure3", ".pdf", ".png"),
        multiext("results/figure6", ".pdf", ".png"),
        multiext("results/training_curves", ".pdf", ".png"),
        # What there is of actions; footage has none.
        (
            []
            if FOOTAGE
            else [
                "results/table3.csv",
                "results/table3_differences.csv",
                "results/table4.csv",
                *multiext("results/figure7", ".pdf", ".png"),
                *multiext("results/clusters/clusters", ".csv", ".png"),
                "results/claims.csv",
            ]
        ),
    message:
        "every table and figure of the paper is made"


# The chapters, each after those it reads.
include: "workflow/rules/datasets.smk"
include: "workflow/rules/pairs.smk"
include: "workflow/rules/pretrain.smk"
include: "workflow/rules/pose.smk"
include: "workflow/rules/tracking.smk"
include: "workflow/rules/motion.smk"
include: "workflow/rules/actions.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/clusters.smk"
include: "workflow/rules/recognition.smk"
include: "workflow/rules/paper.smk"
# Belongs to no chapter either, since its data need an optional package.
include: "workflow/rules/motion_capture.smk"


# Belongs to no chapter, and `all` does not ask for it: it tells how long the jobs took, so two equal runs write two
# different pages, which DVC is not to compare.
rule report_page:
    """Write one self-contained page about the run; times are those of the jobs that ran before it."""
    input:
        "results/table1.csv",
        "results/table2.csv",
        "results/table3.csv",
        "results/table3_differences.csv",
        "results/table4.csv",
        "results/motion.csv",
        "results/claims.csv",
        "results/figure3.png",
        "results/figure6.png",
        "results/figure7.png",
        "results/training_curves.png",
        "results/pose/average_precision.csv",
        "results/pose/dimofs.parquet",
        config=CONFIG,
        dataset="data/datasets/posetrack18.csv",
    output:
        "results/report.html",
    log:
        "logs/paper/report.log",
    benchmark:
        "logs/benchmarks/paper/report.jsonl"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        **settings("seed", "seeds", "datasets.source", "paper"),
        **code("report"),
    message:
        "writing results/report.html"
    shell:
        "dimofs paper report"
        " --config {input.config:q}"
        " --results results"
        " --benchmarks logs/benchmarks"
        " --dataset {input.dataset:q}"
        " --out {output:q}"
        " > {log:q} 2>&1"


# Comes last: it looks at the outputs of every rule.
distrust_outputs(workflow)
