"""The tables and figures of the paper, each number beside the paper's own.

INPUTS: results/pose/{average_precision,differences}.csv, results/tracking/{metrics,differences}.csv,
results/motion/{quantities.csv,examples.npz}, results/actions/{columns,differences,sweep,sweep_differences}.csv,
results/pretrain/{still,single_frame,dimofs}{run}.csv, config/ablations.tsv, results/recognition/{accuracy,differences,
cost_ours,cost_rivals}.csv, config/recognition.tsv.
OUTPUTS: results/{table1,table2,table3,table3_differences,table4}.csv, results/{figure3,figure6,figure7}.{pdf,png}; and what the
paper does not show: results/motion.csv, training_curves.{pdf,png} and claims.csv.
"""


localrules:
    paper,
    table1,
    table2,
    table3,
    table4,
    motion_table,
    figure3,
    figure6,
    figure7,
    training_curves,
    claims,


rule paper:
    input:
        rules.all.input,
    message:
        "every table and figure of the paper is made"


rule table1:
    """Pose mAP per joint: single frame, copy and DiMoFs (Table 1)."""
    input:
        config=ancient(CONFIG),
        average_precision="results/pose/average_precision.csv",
        differences="results/pose/differences.csv",
    output:
        report(
            "results/table1.csv",
            caption="../report/table1.rst",
            category="§6.1 Pose",
            labels={"paper": "Table 1", "what": "mAP per joint"},
        ),
    log:
        "logs/paper/table1.log",
    benchmark:
        "logs/benchmarks/paper/table1.jsonl"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        **settings("datasets.source", "pretrain.initial_weights"),
        **code("table1"),
    message:
        "writing Table 1"
    shell:
        "dimofs paper table1"
        " --config {input.config:q}"
        " --average-precision {input.average_precision:q}"
        " --differences {input.differences:q}"
        " --out {output:q}"
        " > {log:q} 2>&1"


rule table2:
    """MOTA per joint: single frame and DiMoFs, by every linker at every operating point (Table 2)."""
    input:
        config=ancient(CONFIG),
        tracking="results/tracking/metrics.csv",
        differences="results/tracking/differences.csv",
    output:
        report(
            "results/table2.csv",
            caption="../report/table2.rst",
            category="§6.1 Pose",
            labels={"paper": "Table 2", "what": "MOTA per joint"},
        ),
    log:
        "logs/paper/table2.log",
    benchmark:
        "logs/benchmarks/paper/table2.jsonl"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        **settings("datasets.source", "pretrain.initial_weights"),
        **code("table2"),
    message:
        "writing Table 2"
    shell:
        "dimofs paper table2"
        " --config {input.config:q}"
        " --tracking {input.tracking:q}"
        " --differences {input.differences:q}"
        " --out {output:q}"
        " > {log:q} 2>&1"


rule table3:
    """Frame-mAP of the action localiser and its ablations (Table 3)."""
    input:
        config=ancient(CONFIG),
        ablations=ABLATIONS,
        columns="results/actions/columns.csv",
        differences="results/actions/differences.csv",
    output:
        table=report(
            "results/table3.csv",
            caption="../report/table3.rst",
            category="§6.2 Actions",
            labels={"paper": "Table 3", "what": "frame-mAP of the ablations"},
        ),
        differences=report(
            "results/table3_differences.csv",
            caption="../report/table3.rst",
            category="§6.2 Actions",
            labels={"paper": "Table 3", "what": "differences between columns"},
        ),
    log:
        "logs/paper/table3.log",
    benchmark:
        "logs/benchmarks/paper/table3.jsonl"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        **settings("datasets.source", "pretrain.initial_weights"),
        **code("table3"),
    message:
        "writing Table 3"
    shell:
        "dimofs paper table3"
        " --config {input.config:q}"
        " --ablations {input.ablations:q}"
        " --columns {input.columns:q}"
        " --differences {input.differences:q}"
        " --out {output.table:q}"
        " --differences-out {output.differences:q}"
        " > {log:q} 2>&1"


rule table4:
    """Accuracy on dives, ours beside the rivals', and what a video costs; its seconds differ from run to run (Table 4)."""
    input:
        rows=RECOGNITION,
        accuracy="results/recognition/accuracy.csv",
        cost_ours="results/recognition/cost_ours.csv",
        cost_rivals="results/recognition/cost_rivals.csv",
    output:
        report(
            "results/table4.csv",
            caption="../report/table4.rst",
            category="§6.3 Recognition",
            labels={"paper": "Table 4", "what": "accuracy on dives"},
        ),
    log:
        "logs/paper/table4.log",
    benchmark:
        "logs/benchmarks/paper/table4.jsonl"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        **code("table4"),
    message:
        "writing Table 4"
    shell:
        "dimofs paper table4"
        " --rows {input.rows:q}"
        " --accuracy {input.accuracy:q}"
        " --cost-ours {input.cost_ours:q}"
        " --cost-rivals {input.cost_rivals:q}"
        " --out {output:q}"
        " > {log:q} 2>&1"


rule motion_table:
    """Figures of merit of the motion in DiMoFs, beside optical flow and no motion (§4)."""
    input:
        config=ancient(CONFIG),
        quantities="results/motion/quantities.csv",
    output:
        quantities=report(
            "results/motion.csv",
            caption="../report/motion.rst",
            category="§4 Motion",
            labels={"paper": "not shown", "what": "figures of merit over δ"},
        ),
    log:
        "logs/paper/motion.log",
    benchmark:
        "logs/benchmarks/paper/motion.jsonl"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        **settings("datasets.source", "pretrain.initial_weights"),
        **code("motion_table"),
    message:
        "writing the figures of merit of motion"
    shell:
        "dimofs paper motion-table"
        " --config {input.config:q}"
        " --quantities {input.quantities:q}"
        " --out {output.quantities:q}"
        " > {log:q} 2>&1"


rule figure3:
    """The motion in DiMoFs beside optical flow (Figure 3)."""
    input:
        config=ancient(CONFIG),
        examples="results/motion/examples.npz",
    output:
        pdf="results/figure3.pdf",
        png=report(
            "results/figure3.png",
            caption="../report/figure3.rst",
            category="§4 Motion",
            labels={"paper": "Figure 3", "what": "motion in the offsets"},
        ),
    log:
        "logs/paper/figure3.log",
    benchmark:
        "logs/benchmarks/paper/figure3.jsonl"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        **settings("datasets.source"),
        **code("figure3"),
    message:
        "drawing Figure 3"
    shell:
        "dimofs paper figure3"
        " --config {input.config:q}"
        " --examples {input.examples:q}"
        " --out {output.pdf:q}"
        " --png {output.png:q}"
        " > {log:q} 2>&1"


rule figure6:
    """Pose mAP against the time gap δ (Figure 6)."""
    input:
        config=ancient(CONFIG),
        average_precision="results/pose/average_precision.csv",
        differences="results/pose/differences.csv",
    output:
        pdf="results/figure6.pdf",
        png=report(
            "results/figure6.png",
            caption="../report/figure6.rst",
            category="§6.1 Pose",
            labels={"paper": "Figure 6", "what": "mAP over δ"},
        ),
    log:
        "logs/paper/figure6.log",
    benchmark:
        "logs/benchmarks/paper/figure6.jsonl"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        **settings("datasets.source"),
        **code("figure6"),
    message:
        "drawing Figure 6"
    shell:
        "dimofs paper figure6"
        " --config {input.config:q}"
        " --average-precision {input.average_precision:q}"
        " --differences {input.differences:q}"
        " --out {output.pdf:q}"
        " --png {output.png:q}"
        " > {log:q} 2>&1"


rule figure7:
    """Frame-mAP against the time gap δ (Figure 7)."""
    input:
        config=ancient(CONFIG),
        sweep="results/actions/sweep.csv",
    output:
        pdf="results/figure7.pdf",
        png=report(
            "results/figure7.png",
            caption="../report/figure7.rst",
            category="§6.2 Actions",
            labels={"paper": "Figure 7", "what": "frame-mAP over δ"},
        ),
    log:
        "logs/paper/figure7.log",
    benchmark:
        "logs/benchmarks/paper/figure7.jsonl"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        **settings("datasets.source"),
        **code("figure7"),
    message:
        "drawing Figure 7"
    shell:
        "dimofs paper figure7"
        " --config {input.config:q}"
        " --sweep {input.sweep:q}"
        " --out {output.pdf:q}"
        " --png {output.png:q}"
        " > {log:q} 2>&1"


rule training_curves:
    """Pose mAP on unseen videos over the steps of training: has the single-frame baseline stopped improving (§6.1)?"""
    input:
        config=ancient(CONFIG),
        still=expand("results/pretrain/still{run}.csv", run=RUNS),
        single_frame=expand("results/pretrain/single_frame{run}.csv", run=RUNS),
        dimofs=expand("results/pretrain/dimofs{run}.csv", run=RUNS),
    output:
        pdf="results/training_curves.pdf",
        png=report(
            "results/training_curves.png",
            caption="../report/training_curves.rst",
            category="§6.1 Pose",
            labels={"paper": "not shown", "what": "mAP over training"},
        ),
    log:
        "logs/paper/training_curves.log",
    benchmark:
        "logs/benchmarks/paper/training_curves.jsonl"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        **settings("seeds", "datasets.source"),
        **code("training_curves"),
    message:
        "drawing the training curves"
    shell:
        "dimofs paper training-curves"
        " --config {input.config:q}"
        " --still {input.still[0]:q}"
        " --single-frame {input.single_frame[0]:q}"
        " --dimofs {input.dimofs[0]:q}"
        " --out {output.pdf:q}"
        " --png {output.png:q}"
        " > {log:q} 2>&1"


rule claims:
    """Judge every claim that a number can decide, by its interval; those without a table are not run (§4–§6)."""
    input:
        pose="results/pose/differences.csv",
        tracking="results/tracking/differences.csv",
        motion="results/motion/quantities.csv",
        actions="results/actions/differences.csv",
        sweep="results/actions/sweep_differences.csv",
        recognition="results/recognition/differences.csv",
    output:
        report(
            "results/claims.csv",
            caption="../report/claims.rst",
            category="Claims",
            labels={"paper": "§4–§6", "what": "which claims hold"},
        ),
    log:
        "logs/paper/claims.log",
    benchmark:
        "logs/benchmarks/paper/claims.jsonl"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        **code("claims"),
    message:
        "judging the claims of the paper"
    shell:
        "dimofs paper claims"
        " {input.pose:q}"
        " {input.tracking:q}"
        " {input.motion:q}"
        " {input.actions:q}"
        " {input.sweep:q}"
        " {input.recognition:q}"
        " --results results"
        " --out {output:q}"
        " > {log:q} 2>&1"
