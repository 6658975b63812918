"""Embedded data sets in the official layouts of PoseTrack18 and JHMDB (§6).

INPUTS: nothing but the configuration.
OUTPUTS: data/datasets/{posetrack18,stills,jhmdb}/ and beside each its manifest data/datasets/<name>.csv, which names
every file with its sha256. Later chapters take the manifest: Snakemake compares files by content, folders by clock.
"""


localrules:
    datasets,


rule datasets:
    input:
        expand("data/datasets/{name}.csv", name=["posetrack18", "stills", "jhmdb"]),
    message:
        "the data sets are there"


rule render:
    """Render people from moving 3-D skeletons; the stills are to this project what COCO is to the paper (§3, §6)."""
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
        name="posetrack18|stills|jhmdb",
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
