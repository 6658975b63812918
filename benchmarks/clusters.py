"""Time PCA and k-means at the paper's size: 200,000 people × 255 dimensions, K = 100.

Usage: python benchmarks/clusters.py [threads]. Each step runs in a process of its own, whose largest memory is told.
"""

import multiprocessing
import resource
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from dimofs.config import load_config
from dimofs.recognition.clusters import fit_means

PEOPLE, DIMENSIONS, KINDS = 200_000, 255, 300


def people() -> np.ndarray:
    """Rows of many kinds that overlap, (200,000, 255) float32."""
    rng = np.random.default_rng(0)
    kinds = rng.standard_normal((KINDS, DIMENSIONS), np.float32)
    return kinds[rng.integers(KINDS, size=PEOPLE)] + rng.standard_normal((PEOPLE, DIMENSIONS), np.float32)


def step(name: str, threads: int) -> tuple[float, float, float]:
    """Wall and processor seconds of one step, and the largest memory of this process with the rows in it, GB."""
    rows = people()
    wall, core = time.perf_counter(), time.process_time()
    if name == "PCA to 15":
        with threadpool_limits(threads):
            PCA(15, random_state=0).fit_transform(rows)
    else:
        config = load_config(Path(__file__).parents[1] / "config/config.yaml").clusters
        fit_means(rows, config.model_copy(update={"threads": threads}), 0)
    wall, core = time.perf_counter() - wall, time.process_time() - core
    return wall, core, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    """Print a table."""
    threads = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    print(f"{PEOPLE} × {DIMENSIONS}, {threads} threads\n\n| | wall s | core s | GB |\n|---|---|---|---|")
    total = 0.0
    for name in ("PCA to 15", "k-means, K = 100"):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            wall, core, memory = pool.apply(step, (name, threads))
        total += wall
        print(f"| {name} | {wall:.1f} | {core:.1f} | {memory:.2f} |")
    print(f"| together | {total:.1f} | | |")


if __name__ == "__main__":
    main()
