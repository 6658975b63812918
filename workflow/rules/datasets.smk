"""Data sets in the official layouts of PoseTrack18, JHMDB and Diving48 (§6): embedded ones, or the official archives.

INPUTS: nothing but the configuration; for archives config/datasets.tsv, and what you put under data/archives/, which no
rule changes or removes; for footage its video and a teacher's poses.
OUTPUTS: data/datasets/{posetrack18,stills,jhmdb,diving48,corpus}/ and beside each its manifest data/datasets/<name>.csv, which names
every file with its sha256. Later chapters take the manifest: Snakemake compares files by content, folders by clock.
"""


localrules:
    datasets,


rule datasets:
    input:
        expand("data/datasets/{name}.csv", name=DATASETS),
    params:
        **settings("pretrain.initial_weights", "recognition.rivals.networks"),  # which decide what there is
    message:
        "the data sets are there"


rule render:
    """Render people from moving 3-D skeletons; stills stand for the paper's COCO, the corpus for Kinetics (§3, §6)."""
    input:
        config=ancient(CONFIG),
    output:
        manifest="data/datasets/{name}.csv",
        folder=directory("data/datasets/{name}"),
    log:
        "logs/datasets/{name}.log",
    benchmark:
        "logs/benchmarks/datasets/{name}.jsonl"
    wildcard_constraints:
        name="|".join({"posetrack18", "stills", "jhmdb", "diving48", "corpus"} - {*UNPACKED, *CUT}),
    priority: 100  # it takes every core, so later it would wait until no other job runs; more than all others together
    threads: CPUS
    resources:
        mem_mb=2000,
    params:
        **settings("seed"),
        **code("datasets_render"),
        size=lambda wildcards: render_settings(wildcards.name),
    message:
        "rendering {wildcards.name}; progress in {log}"
    shell:
        "dimofs datasets render {wildcards.name:q}"
        " --config {input.config:q}"
        " --manifest {output.manifest:q}"
        " --workers {threads}"
        " > {log:q} 2>&1"


if UNPACKED:

    onstart:
        if not workflow.touch:
            require_archives(
                {job.wildcards.name for job in workflow.dag.needrun_jobs() if job.rule.name == "unpack"}
            )

    rule unpack:
        """Unpack official archives, downloaded where their terms are accepted, and count what is in them (§6)."""
        input:
            lambda wildcards: announce_missing(wildcards.name),
            config=ancient(CONFIG),
            sheet=ancient(ARCHIVES),
        output:
            manifest="data/datasets/{name}.csv",
            folder=directory("data/datasets/{name}"),
        log:
            "logs/datasets/{name}.log",
        benchmark:
            "logs/benchmarks/datasets/{name}.jsonl"
        wildcard_constraints:
            name="|".join(UNPACKED),
        threads: 1
        resources:
            mem_mb=2000,
        params:
            **settings("datasets.accept_partial"),
            **code("datasets_unpack"),
            archives=lambda wildcards: archive_settings(wildcards.name),
        message:
            "unpacking {wildcards.name}; progress in {log}"
        shell:
            "dimofs datasets unpack {wildcards.name:q}"
            " --config {input.config:q}"
            " --sheet {input.sheet:q}"
            " --archives data/archives"
            " --manifest {output.manifest:q}"
            " > {log:q} 2>&1"


if FOOTAGE:

    rule label:
        """Put footage and a teacher's poses, its pseudo-labels, into PoseTrack18's layout (§6)."""
        input:
            footage=str(FOOTAGE.video),
            pseudo_labels=str(FOOTAGE.poses),
        output:
            manifest="data/datasets/footage.csv",
            folder=directory("data/datasets/footage"),
        log:
            "logs/datasets/footage.log",
        benchmark:
            "logs/benchmarks/datasets/footage.jsonl"
        threads: 1
        resources:
            mem_mb=2000,
        params:
            **code("label_footage"),
        message:
            "labelling {input.footage} with {input.pseudo_labels}"
        shell:
            "dimofs label {input.footage:q}"
            " --poses {input.pseudo_labels:q}"
            " --out {output.folder:q}"
            " > {log:q} 2>&1"

    rule cut:
        """Cut labelled footage into clips that train and validate, in the place of PoseTrack18 and the stills (§6)."""
        input:
            config=ancient(CONFIG),
            labelled="data/datasets/footage.csv",
        output:
            manifest="data/datasets/{name}.csv",
            folder=directory("data/datasets/{name}"),
        log:
            "logs/datasets/{name}.log",
        benchmark:
            "logs/benchmarks/datasets/{name}.jsonl"
        wildcard_constraints:
            name="|".join(CUT),
        threads: 1
        resources:
            mem_mb=1000,
        params:
            **settings("datasets.footage"),
            **code("datasets_cut"),
        message:
            "cutting footage into {wildcards.name}"
        shell:
            "dimofs datasets cut {wildcards.name:q}"
            " --config {input.config:q}"
            " --labelled {input.labelled:q}"
            " --manifest {output.manifest:q}"
            " > {log:q} 2>&1"
