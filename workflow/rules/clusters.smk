"""Clusters of what people in dives look like and how they move, by k-means (§5.2).

INPUTS: results/features/{train,test}.parquet.
OUTPUTS: results/clusters/{pose,pose_flow,pose_dimofs}.parquet, the cluster of every person and frame; clusters.csv, sizes,
entropy and agreement between seeds; clusters.png, the members nearest to the centres.
"""


localrules:
    clusters,


rule clusters:
    input:
        expand("results/clusters/{kind}.parquet", kind=CLUSTERED),
        "results/clusters/clusters.csv",
        "results/clusters/clusters.png",
    message:
        "the people of the dives are clustered"


rule fit_clusters:
    """Run k-means over pose, pose and flow, or pose and DiMoFs of the training dives (§5.2, A32, A34, A36)."""
    input:
        config=ancient(CONFIG),
        train="results/features/train.parquet",
        test="results/features/test.parquet",
    output:
        "results/clusters/{kind}.parquet",
    log:
        "logs/clusters/{kind}.log",
    benchmark:
        "logs/benchmarks/clusters/{kind}.jsonl"
    wildcard_constraints:
        kind="|".join(CLUSTERED),
    priority: 2  # in the longest chain of jobs, to the last row of Table 4
    threads: CHECKED.clusters.threads
    resources:
        mem_mb=2000,
    params:
        **settings("seed", "clusters"),
        **code("clusters_fit"),
    message:
        "clustering by {wildcards.kind}"
    shell:
        "dimofs clusters fit {wildcards.kind:q}"
        " --config {input.config:q}"
        " --train {input.train:q}"
        " --test {input.test:q}"
        " --out {output:q}"
        " > {log:q} 2>&1"


rule describe_clusters:
    """Tell sizes and entropy of the clusters, and how well clusterings with other seeds agree (§5.2, A36)."""
    input:
        config=ancient(CONFIG),
        pose="results/clusters/pose.parquet",
        pose_flow="results/clusters/pose_flow.parquet",
        pose_dimofs="results/clusters/pose_dimofs.parquet",
    output:
        "results/clusters/clusters.csv",
    log:
        "logs/clusters/describe.log",
    benchmark:
        "logs/benchmarks/clusters/describe.jsonl"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        **settings("clusters.clusters"),
        **code("clusters_describe"),
    message:
        "describing the clusters"
    shell:
        "dimofs clusters describe"
        " --config {input.config:q}"
        " --pose {input.pose:q}"
        " --pose-flow {input.pose_flow:q}"
        " --pose-dimofs {input.pose_dimofs:q}"
        " --out {output:q}"
        " > {log:q} 2>&1"


rule draw_clusters:
    """Draw the members nearest to the centres of a dozen clusters as poses with their motion (§5.2)."""
    input:
        ids="results/clusters/pose_dimofs.parquet",
        features="results/features/train.parquet",
    output:
        "results/clusters/clusters.png",
    log:
        "logs/clusters/draw.log",
    benchmark:
        "logs/benchmarks/clusters/draw.jsonl"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        **code("clusters_draw"),
    message:
        "drawing the clusters"
    shell:
        "dimofs clusters draw"
        " --ids {input.ids:q}"
        " --features {input.features:q}"
        " --out {output:q}"
        " > {log:q} 2>&1"
