"""Learning Discriminative Motion Features Through Detection (arXiv:1812.04172), one chapter of rules per part of the paper.

`snakemake --cores 8 results/table3.csv` makes Table 3; no target makes every table and figure; the name of a chapter
makes that chapter. Run in another folder that has its own `config/` with `--directory scenarios/smoke`.
"""

from snakemake.utils import min_version

min_version("9.20")


configfile: "config/config.yaml"


report: "workflow/report/workflow.rst"


rule all:
    input:
        "results/table1.csv",
        "results/table3.csv",
        "results/table3_differences.csv",
        multiext("results/figure6", ".pdf", ".png"),
        multiext("results/figure7", ".pdf", ".png"),
        multiext("results/training_curves", ".pdf", ".png"),
    message:
        "every table and figure of the paper is made"


# Checks the configuration, so it comes first; then the chapters, each after those it reads.
include: "workflow/rules/common.smk"
include: "workflow/rules/datasets.smk"
include: "workflow/rules/pairs.smk"
include: "workflow/rules/pretrain.smk"
include: "workflow/rules/pose.smk"
include: "workflow/rules/actions.smk"
include: "workflow/rules/paper.smk"


# Comes last: it looks at the outputs of every rule.
distrust_outputs(workflow)
