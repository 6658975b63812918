"""Shared by all chapters: the checked configuration, the columns of Table 3, the rows of Table 4, and the parameters that rules record.

Every network is trained once for each of the `seeds`, and {run} ends the names of all files that hang on one: nothing
for the first seed, `-seed<N>` for another. What a training starts from is of the same run.

Parameters of a rule are strings "name=value", one for each value of the configuration that the verb reads and one for
each file of code that it runs. Snakemake reruns a job when one of them changes, and its reason names that one.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from pathlib import Path

sys.path.insert(0, workflow.basedir)

from dimofs.actions.ablations import find_training, read_columns
from dimofs.config import Actions, ConfigError, DeltaRange, Pairs, Section, check_config, check_initial_weights
from dimofs.datasets.archives import missing_archives, read_archives
from dimofs.recognition.rows import read_rows
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from workflow.fingerprint import fingerprint
from workflow.origin import distrust

CONFIG = "config/config.yaml"
ABLATIONS = "config/ablations.tsv"
RECOGNITION = "config/recognition.tsv"
ARCHIVES = os.path.relpath(Path(workflow.basedir, "config/datasets.tsv"))

# Jobs run the package of this checkout, which is the one whose code is recorded.
search_path = os.pathsep.join(filter(None, [workflow.basedir, os.environ.get("PYTHONPATH")]))
os.environ.update(PYTHONPATH=search_path)
# On Linux their memory comes in large pages: less of it is looked up and faulted in (docs/decisions.md).
os.environ.setdefault("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")

try:
    CHECKED = check_config(config, Path(CONFIG))
    check_initial_weights(CHECKED, Path(CONFIG))
    COLUMNS = read_columns(Path(ABLATIONS))
    ROWS = {row.name: row for row in read_rows(Path(RECOGNITION))}
    for training in CHECKED.actions.sweep:
        find_training(COLUMNS, training)
except ConfigError as error:
    raise WorkflowError(str(error)) from None

RUNS = CHECKED.runs()
TRAININGS = sorted({column.training.name for column in COLUMNS})
UNPACKED = ["posetrack18", "jhmdb", "diving48"] if CHECKED.datasets.source == "archives" else []
STILLS = ["stills"] if CHECKED.pretrain.initial_weights == "stills" else []
DATASETS = ["posetrack18", *STILLS, "jhmdb", "diving48", "corpus"]
FOOTAGE = CHECKED.datasets.footage if CHECKED.datasets.source == "footage" else None
CUT = ["posetrack18", "stills"] if FOOTAGE else []
TRACKED = {
    "single_frame": "results/pose/single_frame{run}.parquet",
    "dimofs": "results/tracking/dimofs_detections{run}.parquet",
}
CLUSTERED = ["pose", "pose_flow", "pose_dimofs"]
# What predictions of actions hang on; flow alone where the training has one (`plan`).
ACTIONS = [f"actions.{key}" for key in Actions.model_fields if key not in ("sweep", "flow")]
# What the network that predicts clusters shares with those of `actions`.
CLUSTER_NETWORK = [
    f"actions.{key}"
    for key in (
        "mlp_features",
        "positive_fraction",
        "box_loss_weight",
        "scale_offsets_by_stride",
        "proposals_test",
        "score_threshold",
        "nms_threshold",
    )
]
# Only a renderer knows which pixels are the diver's.
SCENE_CONTROL = ["scene_only"] if CHECKED.datasets.source == "rendered" else []
# What is trained of the networks of others, from what, and on what.
CORPUS = ["c3d_corpus", "r2plus1d_corpus"]
RIVALS = {
    "tsn_rgb": "results/pretrain/still.safetensors",
    "tsn_flow": "results/pretrain/still.safetensors",
    "trn": "results/pretrain/still.safetensors",
    "c3d": "results/recognition/c3d_corpus.safetensors",
    "r2plus1d": [],
    "r2plus1d_pretrained": "results/recognition/r2plus1d_corpus.safetensors",
    "r2plus1d_pretrained_hold_out": "results/recognition/r2plus1d_corpus.safetensors",
    **{name: [] for name in CORPUS},
}
if CHECKED.recognition.rivals.networks == "full":  # these start from torchvision's weights
    DATASETS.remove("corpus")
    RIVALS = {name: [] for name in RIVALS if name not in CORPUS}
RIVAL_ROWS = ["tsn_rgb", "tsn_flow", "trn", "c3d", "r2plus1d", "r2plus1d_pretrained"]
# What a training of theirs depends on: all but the other's budget, and what is done at test time.
RIVAL_KEYS = {*type(CHECKED.recognition.rivals).model_fields} - {"training", "pretraining", "views"}
# What the PCA depends on: all of `features` but its flow.
PCA_KEYS = [key for key in type(CHECKED.features).model_fields if key != "flow"]
CPUS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


wildcard_constraints:
    run="(-seed[0-9]+)?",


def settings(*sections: str) -> dict[str, str]:
    """Give every value of sections of the configuration, such as "seed" or "pretrain.pose", as parameters of a rule."""
    values = {}
    for section in sections:
        value = CHECKED
        for key in section.split("."):
            value = getattr(value, key)
        values |= {name: f"{name}={leaf}" for name, leaf in leaves(section, value)}
    return values


def leaves(name: str, value: object) -> Iterator[tuple[str, object]]:
    """Walk down a section to its values; a range of δ counts as the δ it stands for."""
    if isinstance(value, DeltaRange):
        yield name, value.values()
    elif isinstance(value, Section):
        for key in type(value).model_fields:
            yield from leaves(f"{name}.{key}", getattr(value, key))
    else:
        yield name, value


def render_settings(dataset: str) -> list[str]:
    """Give the size of an embedded data set as parameters of the rule that renders it."""
    return list(settings("datasets.frame_size", f"datasets.{dataset}").values())


def pair_settings(dataset: str, split: str) -> list[str]:
    """Give the gaps δ of a split, and which split of JHMDB or labels of Diving48; a still image is its own Frame B."""
    keys = (f"{dataset}_{split}", f"{dataset}_split", f"{dataset}_labels")
    own = [key for key in keys if key in Pairs.model_fields]
    return list(settings(*(f"pairs.{key}" for key in own)).values())


def plan(training: str) -> list[str]:
    """Give what config/ablations.tsv says about a training, except for its columns, and the flow where it takes one."""
    found = find_training(COLUMNS, training)
    flow = settings("actions.flow") if found.motion == "flow" else {}
    return [*(f"{name}={value}" for name, value in asdict(found).items()), *flow.values()]


def column_deltas(training: str) -> list[str]:
    """Give the δ at which columns of Table 3 test a training."""
    return sorted({f"delta={column.delta}" for column in COLUMNS if column.training.name == training})


def initial_weights(training: str, run: str) -> str:
    """Give the checkpoint that a training starts from."""
    return f"results/pretrain/{find_training(COLUMNS, training).initial_weights}{run}.safetensors"


def rival_settings(rival: str) -> list[str]:
    """Give what decides about the training of a network of others: on the corpus, or on the dives."""
    own = ("pretraining",) if rival in CORPUS else ("training",)
    keys = [f"recognition.rivals.{key}" for key in (*sorted(RIVAL_KEYS), *own)]
    return list(settings(*keys, *([] if rival in CORPUS else ["pairs.diving48_labels"])).values())


def rival_memory(rival: str) -> int:
    """Give the megabytes that a network of others needs with all its videos, which it holds in memory as it sees them."""
    sizes, rivals = CHECKED.datasets, CHECKED.recognition.rivals
    if rival in CORPUS:
        videos = 21 * sizes.corpus.clips_per_class
    else:
        videos = 47 * sizes.diving48.train_clips_per_class if sizes.source == "rendered" else 16_000
    return 3000 + videos * 2 * rivals.frames * 3 * rivals.frame_size**2 // 10**6


def run_seed(run: str) -> str:
    """Give the seed of a run as a parameter of a rule; after two dashes it is the option of the verb."""
    return f"seed={run.removeprefix('-seed') or CHECKED.seeds[0]}"


def code(verb: str) -> dict[str, str]:
    """Give the code of a verb, named by its function in dimofs/cli.py, as parameters of a rule."""
    return {name: f"{name}={content}" for name, content in fingerprint(verb).items()}


def distrust_outputs(workflow) -> None:
    """Have outputs made again that were not made here; workflow/origin.py says why."""
    if not workflow.is_main_process:
        return
    unknown = distrust(str(output) for rule in workflow.rules for output in rule.output)
    if unknown:
        logger.warning(
            f"{len(unknown)} outputs were not made here, or have changed since ({unknown[0]}, ...). Nothing tells what "
            "made them, so they will be made again. `make restore` keeps those that DVC can vouch for."
        )


def official_name(dataset: str) -> str:
    """Give the name of a data set in the sheet of archives, where Diving48's two versions are two."""
    return f"diving48_{CHECKED.pairs.diving48_labels.lower()}" if dataset == "diving48" else dataset


def archive_settings(dataset: str) -> list[str]:
    """Give what the sheet says of a data set's content, but not of how to get it, as parameters of a rule."""
    listed = [archive for archive in read_archives(Path(ARCHIVES)) if archive.dataset == official_name(dataset)]
    return [f"{one.dataset}/{one.file}={one.archive} {one.holds} {one.needed} {one.checksum}" for one in listed]


@cache
def missing(dataset: str) -> str:
    """Say which archives of a data set are missing and how to get them."""
    official = official_name(dataset)
    accepted = official in CHECKED.datasets.accept_terms
    return missing_archives(official, read_archives(Path(ARCHIVES)), Path("data/archives"), accepted)


@cache
def announce_missing(dataset: str) -> tuple[()]:
    """Say once, before the plan, what is missing of a data set that is not there either."""
    if workflow.is_main_process and not Path("data/datasets", dataset).exists() and missing(dataset):
        logger.warning(missing(dataset))
    return ()


def require_archives(planned: set[str]) -> None:
    """Let no run start that would lack archives.

    Snakemake removes the outputs of a job before it runs; what was unpacked may be all that is left of the archives.
    """
    lacking = sorted(dataset for dataset in planned if missing(dataset))
    kept = [f"data/datasets/{dataset}" for dataset in lacking if Path("data/datasets", dataset).exists()]
    for folder in kept:
        logger.warning(
            f"{folder} is there, but the rules would unpack it again, and its archives are gone. "
            f"`snakemake --touch {folder}.csv` keeps it as it is."
        )
    if lacking:
        raise WorkflowError(f"archives of {', '.join(map(official_name, lacking))} are missing; nothing was run")
