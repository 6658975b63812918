"""The command line: every verb parses, calls one function of the package, and writes its files.

Heavy imports stand inside the verbs, so that `dimofs --help` and light verbs start at once.
"""

import gc
import hashlib
import json
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dimofs import DimofsError
from dimofs.config import Classifier, Config, ConfigError, DeltaRange, Section, check_initial_weights, load_config

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from dimofs.datasets.corpus import Action
    from dimofs.datasets.diving48 import Dive
    from dimofs.datasets.records import Video
    from dimofs.model.action_localizer import ActionLocalizer
    from dimofs.training.loop import Run

# Threads that spin long while they wait for each other bring a busy machine to a halt, and those that sleep at once
# lose more than a second thread gains: some microseconds are best. torch reads this when it is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

# A verb's imports make half a million objects that stay. At Python's own threshold they are searched for garbage 660
# times, an eighth of the time that a verb takes to start (docs/decisions.md).
gc.set_threshold(100_000)

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
datasets_app = typer.Typer(
    no_args_is_help=True, help="Chapter datasets (§6): render the embedded data, or unpack official archives."
)
tracking_app = typer.Typer(no_args_is_help=True, help="Chapter tracking (§6.1): link poses to tracks and judge them.")
pose_app = typer.Typer(no_args_is_help=True, help="Chapter pose (§6.1): predict and judge poses over δ.")
motion_app = typer.Typer(no_args_is_help=True, help="Chapter motion (§4): what the offsets show, and the read-out.")
actions_app = typer.Typer(no_args_is_help=True, help="Chapter actions (§6.2): the localiser of §5.1 and its ablations.")
features_app = typer.Typer(no_args_is_help=True, help="Chapter features (§5.2): joints and DiMoFs of people in dives.")
clusters_app = typer.Typer(no_args_is_help=True, help="Chapter clusters (§5.2): k-means over the features.")
recognition_app = typer.Typer(
    no_args_is_help=True, help="Chapter recognition (§5.2, §6.3): classes of dives, by our descriptors and by rivals."
)
paper_app = typer.Typer(no_args_is_help=True, help="Chapter paper: tables and figures.")
app.add_typer(datasets_app, name="datasets")
app.add_typer(pose_app, name="pose")
app.add_typer(tracking_app, name="tracking")
app.add_typer(motion_app, name="motion")
app.add_typer(actions_app, name="actions")
app.add_typer(features_app, name="features")
app.add_typer(clusters_app, name="clusters")
app.add_typer(recognition_app, name="recognition")
app.add_typer(paper_app, name="paper")

ConfigFile = Annotated[Path, typer.Option("--config", help="the scenario's config.yaml")]
Dataset = Annotated[Path, typer.Option(help="manifest of the data set; the folder lies beside it under the same name")]
PairIndex = Annotated[Path, typer.Option(help="pair index of a split of the data set (Parquet)")]
Ablations = Annotated[Path, typer.Option(help="the columns of Table 3 (config/ablations.tsv)")]
Rows = Annotated[Path, typer.Option(help="the rows of Table 4 (config/recognition.tsv)")]
Out = Annotated[Path, typer.Option(dir_okay=False, help="file to write")]
Table = Annotated[Path, typer.Option(help="table of an earlier chapter")]
FirstTable = Annotated[Path, typer.Option(help="table of the first seed; those of other seeds lie beside it")]
Seed = Annotated[int, typer.Option(min=0, help="seed of the training: its new weights, its batches, its steps")]
Predictions = Annotated[Path, typer.Option(help="scores of dives (Parquet)")]
Checkpoint = Annotated[Path, typer.Option(help="weights (safetensors)")]
Processes = Annotated[
    int, typer.Option(min=1, help="processes of this machine that share each batch, one for each GPU")
]
ReadOut = Annotated[Path, typer.Option(help="linear read-out of dimofs motion fit (safetensors)")]

#: What the tables and figures are on, said in each of them: poses and actions, by the source of the data.
DATA = {
    "rendered": ("embedded data, PoseTrack18 layout", "embedded data, JHMDB layout"),
    "archives": ("PoseTrack18 val", "JHMDB"),
    "footage": (
        "footage with pseudo-labels (a teacher's poses), whose clips count as videos",
        "embedded data, JHMDB layout",
    ),
}
CAPTURED = "embedded data, recorded motions"

#: What the network of Ours-final takes from `actions`: it is the same network.
CLUSTER_NETWORK = (
    "mlp_features", "positive_fraction", "box_loss_weight", "scale_offsets_by_stride",
    "proposals_test", "score_threshold", "nms_threshold",
)  # fmt: skip

#: What the networks behind the tables start from, said in each of them.
INITIAL_WEIGHTS = {
    "stills": "embedded stills",
    "imagenet": "ImageNet (not comparable with the paper's)",
    "coco_keypoints": "COCO keypoints",
}


@datasets_app.command("render")
def datasets_render(
    name: str,
    config: ConfigFile,
    manifest: Annotated[Path, typer.Option(help="list of the files, written last; the folder gets its name")],
    workers: Annotated[int, typer.Option(min=1, help="processes")] = os.cpu_count() or 1,
) -> None:
    """Render an embedded data set (posetrack18, stills, jhmdb, diving48, corpus or motion_capture)."""
    from dimofs.datasets.manifest import write_manifest
    from dimofs.datasets.synthetic.write import render

    settings = load_config(config)
    render(name, settings.datasets, settings.seed, manifest.with_suffix(""), workers)
    write_manifest(manifest.with_suffix(""), manifest)


@datasets_app.command("unpack")
def datasets_unpack(
    name: str,
    config: ConfigFile,
    sheet: Annotated[Path, typer.Option(help="the official archives (config/datasets.tsv)")],
    archives: Annotated[Path, typer.Option(help="folder of archives; nothing in it is changed or removed")],
    manifest: Annotated[Path, typer.Option(help="list of the files, written last; the folder gets its name")],
) -> None:
    """Unpack the official archives of a data set and count what is in them; download them if you accept the terms."""
    from dimofs.datasets.archives import assemble, read_archives
    from dimofs.datasets.counts import check_counts
    from dimofs.datasets.manifest import write_manifest

    settings = load_config(config)
    root = manifest.with_suffix("")
    official = f"diving48_{settings.pairs.diving48_labels.lower()}" if name == "diving48" else name
    assemble(official, read_archives(sheet), archives, root, official in settings.datasets.accept_terms)
    for line in check_counts(root, official, settings.datasets.accept_partial).lines:
        typer.echo(line)
    write_manifest(root, manifest)


@datasets_app.command("cut")
def datasets_cut(
    name: str,
    config: ConfigFile,
    labelled: Annotated[Path, typer.Option(help="manifest of dimofs label")],
    manifest: Annotated[Path, typer.Option(help="list of the files, written last; the folder gets its name")],
) -> None:
    """Cut labelled footage into the clips of posetrack18 (train and val) or the stills (train alone)."""
    from dimofs.datasets.footage import cut
    from dimofs.datasets.manifest import dataset_root, write_manifest

    footage = load_config(config).datasets.footage
    if footage is None:
        raise ConfigError(f"{config}: datasets.footage is null; say which frames train and which validate")
    cut(name, dataset_root(labelled), footage, manifest.with_suffix(""))
    write_manifest(manifest.with_suffix(""), manifest)


@datasets_app.command("show")
def datasets_show(manifest: Path, out: Out) -> None:
    """Draw a contact sheet of a data set with its labels."""
    from dimofs.datasets.contact_sheet import contact_sheet

    contact_sheet(manifest, out)


@app.command("pairs")
def pairs_index(name: str, split: str, config: ConfigFile, dataset: Dataset, out: Out) -> None:
    """List every pair (Frame A, Frame B, δ) of a split of a data set; a still image is its own Frame B."""
    from dimofs.io import write_parquet
    from dimofs.pairs.index import pair_index

    settings = load_config(config)
    listed = getattr(settings.pairs, f"{name}_{split}", None)
    if name != "stills" and not isinstance(listed, DeltaRange):
        raise ConfigError(f"{config}: pairs has no {name}_{split}; give a data set and a split that it lists")
    deltas = listed.values() if isinstance(listed, DeltaRange) else (0,)
    videos = [video for video in _read(name, settings, dataset) if video.split == split]
    write_parquet(pair_index(videos, {split: deltas}), out)


@app.command()
def pretrain(
    network: Literal["still", "single_frame", "dimofs"],
    config: ConfigFile,
    dataset: Dataset,
    pairs: PairIndex,
    val_dataset: Dataset,
    val_pairs: PairIndex,
    seed: Seed,
    out: Out,
    curve: Out,
    resume: Annotated[Path, typer.Option(help="resume point, removed at the end")],
    init: Annotated[Path | None, typer.Option(help="checkpoint to start from")] = None,
    processes: Processes = 1,
) -> None:
    """Train still, single_frame or dimofs (§3)."""
    from dimofs.pairs.index import read_pairs
    from dimofs.pose.pretrain import pretrain as run_pretrain
    from dimofs.training.processes import start

    start(processes)
    settings = load_config(config)
    name, training = ("stills", "still") if network == "still" else ("posetrack18", "pose")
    decisive = {
        key: getattr(settings.pretrain, key)
        for key in (training, "augmentation", "initial_weights", "frozen_stages", "validation_frames")
    }
    run_pretrain(
        settings,
        network,
        (_read(name, settings, dataset), read_pairs(pairs)),
        (_read("posetrack18", settings, val_dataset), read_pairs(val_pairs)),
        init,
        _run(network, settings, seed, decisive, (dataset, pairs, init, val_dataset, val_pairs), out, curve, resume),
    )


@app.command("initial-weights")
def initial_weights(
    config: ConfigFile, val_dataset: Dataset, val_pairs: PairIndex, seed: Seed, out: Out, curve: Out
) -> None:
    """Make the still network from weights that torchvision publishes, instead of training it (§3)."""
    import pandas as pd
    import torch

    from dimofs.io import write_csv
    from dimofs.pairs.index import read_pairs
    from dimofs.pose.initial_weights import published_detector
    from dimofs.pose.pretrain import validation
    from dimofs.training.checkpoint import save_checkpoint
    from dimofs.training.loop import device

    settings = load_config(config)
    check_initial_weights(settings, config)
    torch.set_num_threads(settings.pretrain.pose.threads)
    detector, origin = published_detector(settings, seed)
    detector.to(device()).eval()
    videos = _read("posetrack18", settings, val_dataset)
    with torch.inference_mode():
        figures = validation(detector, settings, videos, read_pairs(val_pairs))()
    write_csv(pd.DataFrame([{"step": 0, **figures}]), curve)
    decisive: dict[str, object] = {"initial_weights": settings.pretrain.initial_weights, "published": origin}
    save_checkpoint(out, detector.state_dict(), _identity("still", seed, settings, decisive, ()))


@app.command()
def adapt(
    labelled: Annotated[Path, typer.Argument(help="manifest of footage that dimofs label has labelled")],
    config: ConfigFile,
    out: Out,
    init: Annotated[
        Path | None, typer.Option(help="any checkpoint of such a network; none: start from nothing")
    ] = None,
    single_frame: Annotated[
        bool, typer.Option("--single-frame", help="train the single-frame control instead")
    ] = False,
    seed: Seed = 0,
) -> None:
    """Train DiMoFs on pairs of your own labelled footage: the network and budget of pretrain.pose, no validation.

    The losses come to a table beside `out`, <its name>-curve.csv.
    """
    from dimofs.pairs.index import pair_index
    from dimofs.pose.pretrain import pretrain as run_pretrain

    settings = load_config(config)
    network = "single_frame" if single_frame else "dimofs"
    keys = ("pose", "augmentation", "frozen_stages", "recompute_offsets")
    deltas = settings.pairs.posetrack18_train.values()
    decisive: dict[str, object] = {"deltas": deltas, **{key: getattr(settings.pretrain, key) for key in keys}}
    videos = _read("posetrack18", settings, labelled)
    pairs = pair_index(videos, {"train": deltas})
    files = out, out.with_name(f"{out.stem}-curve.csv"), out.with_suffix(".resume")
    run_pretrain(
        settings,
        network,
        (videos, pairs),
        None,
        init,
        _run(network, settings, seed, decisive, (labelled, init), *files),
    )


@pose_app.command("predict")
def pose_predict(
    method: str, config: ConfigFile, checkpoint: Checkpoint, dataset: Dataset, pairs: PairIndex, out: Out
) -> None:
    """Predict poses: single_frame on every validation frame, dimofs on every validation pair."""
    import torch

    from dimofs.io import write_parquet
    from dimofs.pairs.index import read_pairs
    from dimofs.pose.predict import every_frame, predict
    from dimofs.pose.pretrain import load_detector

    settings = load_config(config)
    torch.set_num_threads(settings.pose.threads)
    videos = _read("posetrack18", settings, dataset)
    wanted = read_pairs(pairs)
    if method == "single_frame":
        wanted = every_frame(wanted, videos)
    detector = load_detector(settings, method, checkpoint)
    write_parquet(predict(detector, videos, wanted, settings.model, settings.pose.batch_size), out)


@pose_app.command("evaluate")
def pose_evaluate(
    config: ConfigFile,
    dataset: Dataset,
    pairs: PairIndex,
    single_frame: FirstTable,
    dimofs: FirstTable,
    out: Out,
    differences: Out,
) -> None:
    """Judge predictions by PoseTrack's rule, with paired bootstrap intervals over videos."""
    import pandas as pd

    from dimofs.io import write_csv
    from dimofs.pairs.index import read_pairs
    from dimofs.pose.evaluate import evaluate_pose

    settings = load_config(config)
    tables = evaluate_pose(
        _read("posetrack18", settings, dataset),
        read_pairs(pairs),
        [pd.read_parquet(path) for path in _of_seeds(settings, single_frame)],
        [pd.read_parquet(path) for path in _of_seeds(settings, dimofs)],
        settings.pose.neck,
        settings.pose.ranked_by,
        settings.paper,
        settings.seed,
    )
    for table, path in zip(tables, (out, differences), strict=True):
        write_csv(table, path)


@tracking_app.command("predict")
def tracking_predict(config: ConfigFile, checkpoint: Checkpoint, dataset: Dataset, pairs: PairIndex, out: Out) -> None:
    """Predict poses by DiMoFs at δ = 0 on every frame of the validation videos, labelled or not."""
    import torch

    from dimofs.io import write_parquet
    from dimofs.pairs.index import read_pairs
    from dimofs.pose.predict import every_frame, predict
    from dimofs.pose.pretrain import load_detector

    settings = load_config(config)
    torch.set_num_threads(settings.pose.threads)
    videos = _read("posetrack18", settings, dataset)
    wanted = every_frame(read_pairs(pairs), videos)
    detector = load_detector(settings, "dimofs", checkpoint)
    write_parquet(predict(detector, videos, wanted, settings.model, settings.pose.batch_size), out)


@tracking_app.command("link")
def tracking_link(
    config: ConfigFile, detections: Annotated[Path, typer.Option(help="poses on every frame (Parquet)")], out: Out
) -> None:
    """Link poses to tracks by every linker at every operating point of the configuration."""
    import pandas as pd

    from dimofs.io import write_parquet
    from dimofs.tracking.link import link

    settings = load_config(config).tracking
    found = pd.read_parquet(detections)
    tracks = [
        link(found, linker, point).assign(linker=linker_name, operating_point=point_name)
        for linker_name, linker in settings.linkers
        for point_name, point in settings.operating_points
    ]
    write_parquet(pd.concat(tracks, ignore_index=True), out)


@tracking_app.command("evaluate")
def tracking_evaluate(
    config: ConfigFile, dataset: Dataset, single_frame: FirstTable, dimofs: FirstTable, out: Out, differences: Out
) -> None:
    """Judge tracks by poseval's rules, with paired bootstrap intervals over videos."""
    import pandas as pd

    from dimofs.io import write_csv
    from dimofs.tracking.evaluate import evaluate_tracking

    settings = load_config(config)
    tables = evaluate_tracking(
        _read("posetrack18", settings, dataset),
        [pd.read_parquet(path) for path in _of_seeds(settings, single_frame)],
        [pd.read_parquet(path) for path in _of_seeds(settings, dimofs)],
        dict(settings.tracking.operating_points),
        settings.pose.neck,
        settings.pose.ranked_by,
        settings.paper,
        settings.seed,
    )
    for table, path in zip(tables, (out, differences), strict=True):
        write_csv(table, path)


@tracking_app.command("submit")
def tracking_submit(
    config: ConfigFile,
    tracks: Annotated[Path, typer.Option(help="linked poses (Parquet)")],
    linker: Annotated[str, typer.Option(help="a linker of the configuration")],
    operating_point: Annotated[str, typer.Option(help="an operating point of the configuration")],
    annotations: Annotated[Path, typer.Option(help="folder of the official label files of the split")],
    out: Annotated[Path, typer.Option(help="folder of the prediction files")],
) -> None:
    """Write tracks as PoseTrack18 prediction files, for the official program."""
    import pandas as pd

    from dimofs.tracking.submission import write_submission

    settings = load_config(config)
    points = dict(settings.tracking.operating_points)
    if operating_point not in points or linker not in dict(settings.tracking.linkers):
        raise ConfigError(f"{config}: tracking has no linker {linker!r} or no operating point {operating_point!r}")
    table = pd.read_parquet(tracks)
    if not {"linker", "operating_point"} <= {*table}:
        raise ConfigError(f"{tracks}: holds no tracks; give a table of `dimofs tracking link`")
    chosen = table[(table["linker"] == linker) & (table["operating_point"] == operating_point)]
    write_submission(
        chosen, annotations, out, points[operating_point].joint_score, settings.pose.neck, settings.pose.ranked_by
    )


@motion_app.command("fit")
def motion_fit(config: ConfigFile, checkpoint: Checkpoint, dataset: Dataset, pairs: PairIndex, out: Out) -> None:
    """Fit the linear read-out of a joint's displacement from the offsets there, on pairs as training draws them."""
    import torch

    from dimofs.motion.read_out import fit_read_out
    from dimofs.pairs.index import read_pairs
    from dimofs.pairs.sampling import PairSampler
    from dimofs.pose.pretrain import load_detector
    from dimofs.training.checkpoint import save_checkpoint

    settings = load_config(config)
    torch.set_num_threads(settings.pose.threads)
    sampler = PairSampler(read_pairs(pairs), "train", settings.seed)
    draws = [sampler.draw(position) for position in range(settings.motion.read_out_pairs)]
    detector = load_detector(settings, "dimofs", checkpoint)
    videos = _read("posetrack18", settings, dataset)
    read_out = fit_read_out(detector, videos, draws, settings.model, settings.pose.batch_size)
    metadata = {
        "penalty": read_out.penalty,
        "joints": read_out.joints,
        "sha256": {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in (checkpoint, dataset, pairs)},
    }
    save_checkpoint(out, {"coefficients": read_out.coefficients}, metadata)


@motion_app.command("measure")
def motion_measure(
    config: ConfigFile, checkpoint: Checkpoint, read_out: ReadOut, dataset: Dataset, pairs: PairIndex, out: Out
) -> None:
    """Sum up errors, noise and saliency of the motion of validation pairs, beside optical flow and no motion."""
    import torch

    from dimofs.datasets.manifest import dataset_root
    from dimofs.io import write_parquet
    from dimofs.motion.measure import measure, measured_pairs
    from dimofs.motion.read_out import load_read_out
    from dimofs.pairs.index import read_pairs
    from dimofs.pose.pretrain import load_detector

    settings = load_config(config)
    torch.set_num_threads(settings.pose.threads)
    sums = measure(
        load_detector(settings, "dimofs", checkpoint),
        load_read_out(read_out, settings.model.fpn_channels, checkpoint),
        _read("posetrack18", settings, dataset),
        measured_pairs(read_pairs(pairs), settings.motion.frames),
        dataset_root(dataset) / "sidecar" / "val",
        settings.model,
        settings.pose.batch_size,
    )
    write_parquet(sums, out)


@motion_app.command("evaluate")
def motion_evaluate(
    config: ConfigFile, sums: Annotated[Path, typer.Option(help="sums of dimofs motion measure (Parquet)")], out: Out
) -> None:
    """Make the figures of merit over δ, with paired bootstrap intervals over videos."""
    import pandas as pd

    from dimofs.io import write_csv
    from dimofs.motion.evaluate import evaluate_motion

    settings = load_config(config)
    write_csv(evaluate_motion(pd.read_parquet(sums), settings.paper, settings.seed), out)


@motion_app.command("show")
def motion_show(
    config: ConfigFile, checkpoint: Checkpoint, read_out: ReadOut, dataset: Dataset, pairs: PairIndex, out: Out
) -> None:
    """Gather the rows of Figure 3, chosen by a rule."""
    import torch

    from dimofs.datasets.manifest import dataset_root
    from dimofs.motion.examples import write_examples
    from dimofs.motion.read_out import load_read_out
    from dimofs.motion.show import chosen_pairs, show_pairs
    from dimofs.pairs.index import read_pairs
    from dimofs.pose.pretrain import load_detector

    settings = load_config(config)
    torch.set_num_threads(settings.pose.threads)
    examples = show_pairs(
        load_detector(settings, "dimofs", checkpoint),
        load_read_out(read_out, settings.model.fpn_channels, checkpoint),
        chosen_pairs(_read("posetrack18", settings, dataset), read_pairs(pairs)),
        dataset_root(dataset) / "sidecar" / "val",
        settings.model,
        settings.seed,
    )
    write_examples(examples, out)


@actions_app.command("train")
def actions_train(
    training: str,
    config: ConfigFile,
    ablations: Ablations,
    dataset: Dataset,
    pairs: PairIndex,
    init: Annotated[Path, typer.Option(help="pose checkpoint to start from")],
    seed: Seed,
    out: Out,
    curve: Out,
    resume: Annotated[Path, typer.Option(help="resume point, removed at the end")],
    processes: Processes = 1,
) -> None:
    """Train one localiser of the ablations."""
    import torch

    from dimofs.actions.ablations import find_training, read_columns
    from dimofs.actions.train import train_localizer
    from dimofs.pairs.index import read_pairs
    from dimofs.training.processes import start

    start(processes)
    settings = load_config(config)
    plan = find_training(read_columns(ablations), training)
    keys = (
        "training", "train_detector", "augmentation", "mlp_features",
        "positive_fraction", "box_loss_weight", "proposals_test",
        "scale_offsets_by_stride", "inflated_frames", *(["flow"] if plan.motion == "flow" else []),
    )  # fmt: skip
    decisive = {"plan": asdict(plan), **{key: getattr(settings.actions, key) for key in keys}}
    decisive["initial_weights"] = settings.pretrain.initial_weights
    torch.manual_seed(seed)
    train_localizer(
        settings,
        plan,
        _read("jhmdb", settings, dataset),
        read_pairs(pairs),
        init,
        _run(training, settings, seed, decisive, (dataset, pairs, init), out, curve, resume),
    )


@actions_app.command("predict")
def actions_predict(
    training: str,
    config: ConfigFile,
    ablations: Ablations,
    dataset: Dataset,
    pairs: PairIndex,
    checkpoint: Checkpoint,
    deltas: Annotated[str, typer.Option(help="columns: the δ of Table 3's columns; sweep: every δ of the index")],
    out: Out,
) -> None:
    """Localise actions on the test split."""
    import torch

    from dimofs.actions.ablations import find_training, read_columns
    from dimofs.actions.predict import predict, write_detections
    from dimofs.actions.train import build_localizer
    from dimofs.pairs.index import read_pairs
    from dimofs.training.checkpoint import load_checkpoint

    settings = load_config(config)
    torch.set_num_threads(settings.actions.training.threads)
    columns = read_columns(ablations)
    plan = find_training(columns, training)
    wanted = read_pairs(pairs)
    if deltas == "columns":
        chosen = {column.delta or 0 for column in columns if column.training == plan}
        wanted = wanted[wanted["delta"].isin(chosen)]
    network = build_localizer(settings, plan, None)
    network.load_state_dict(load_checkpoint(checkpoint)[0])
    write_detections(predict(network, plan, _read("jhmdb", settings, dataset), wanted, settings), out)


@actions_app.command("evaluate-columns")
def actions_evaluate_columns(
    config: ConfigFile,
    ablations: Ablations,
    dataset: Dataset,
    detections: Annotated[Path, typer.Option(help="folder of <training>.parquet")],
    out: Out,
    differences: Out,
) -> None:
    """Judge the columns of Table 3 by ACT's rule, with paired bootstrap intervals over clips."""
    from dimofs.actions.ablations import read_columns
    from dimofs.actions.evaluate import evaluate_columns
    from dimofs.io import write_csv

    settings = load_config(config)
    columns = read_columns(ablations)
    tables = evaluate_columns(
        _read("jhmdb", settings, dataset),
        columns,
        _detections(settings, detections, [column.training.name for column in columns]),
        settings.paper,
        settings.seed,
    )
    for table, path in zip(tables, (out, differences), strict=True):
        write_csv(table, path)


@actions_app.command("evaluate-sweep")
def actions_evaluate_sweep(
    config: ConfigFile,
    dataset: Dataset,
    pairs: PairIndex,
    detections: Annotated[Path, typer.Option(help="folder of <training>_sweep.parquet")],
    out: Out,
    differences: Out,
) -> None:
    """Judge the δ-sweep of Figure 7 by ACT's rule."""
    from dimofs.actions.evaluate import evaluate_sweep
    from dimofs.io import write_csv
    from dimofs.pairs.index import read_pairs

    settings = load_config(config)
    tables = evaluate_sweep(
        _read("jhmdb", settings, dataset),
        read_pairs(pairs),
        _detections(settings, detections, settings.actions.sweep, "_sweep"),
        settings.paper,
        settings.seed,
    )
    for table, path in zip(tables, (out, differences), strict=True):
        write_csv(table, path)


@actions_app.command("submit")
def actions_submit(
    config: ConfigFile,
    dataset: Dataset,
    detections: Annotated[Path, typer.Option(help="localised actions (Parquet)")],
    delta: Annotated[int, typer.Option(help="the δ to write; 0 for a network without pairs")],
    out: Annotated[Path, typer.Option(help="folder of the detection files")],
) -> None:
    """Write localised actions and their ground truth as ACT-detector's files, for its frameAP with K = 1."""
    import pandas as pd

    from dimofs.actions.submission import write_detections, write_ground_truth

    clips = _read("jhmdb", load_config(config), dataset)
    table = pd.read_parquet(detections)
    if "delta" not in table:
        raise ConfigError(f"{detections}: holds no detections; give a table of `dimofs actions predict`")
    if delta not in {*table["delta"]}:
        there = ", ".join(map(str, sorted({*table["delta"]})))
        raise ConfigError(f"{detections}: holds nothing at δ = {delta}; give one of {there}")
    write_detections(clips, table[table["delta"] == delta], out)
    write_ground_truth(clips, out / "JHMDB-GT.pkl")


@features_app.command("fit")
def features_fit(config: ConfigFile, checkpoint: Checkpoint, dataset: Dataset, pairs: PairIndex, out: Out) -> None:
    """Fit the PCA of DiMoFs at joints on training dives."""
    import torch

    from dimofs.pairs.index import read_pairs
    from dimofs.pose.pretrain import load_detector
    from dimofs.recognition.features import fit_projection, save_projection

    settings = load_config(config)
    torch.set_num_threads(settings.features.threads)
    detector = load_detector(settings, "dimofs", checkpoint)
    dives = _read_dives(settings, dataset)
    projection = fit_projection(detector, dives, read_pairs(pairs), settings.model, settings.features, settings.seed)
    save_projection(projection, out)


@features_app.command("extract")
def features_extract(
    config: ConfigFile,
    checkpoint: Checkpoint,
    pca: Annotated[Path, typer.Option(help="PCA of DiMoFs at joints (safetensors)")],
    dataset: Dataset,
    pairs: PairIndex,
    out: Out,
    resume: Annotated[Path, typer.Option(help="folder of finished parts, removed at the end")],
) -> None:
    """Find the people in every pair of a split: joints, DiMoFs at the joints after the PCA, and flow there."""
    from functools import partial

    import torch

    from dimofs.flow import farneback
    from dimofs.pairs.index import read_pairs
    from dimofs.pose.pretrain import load_detector
    from dimofs.recognition.features import extract, load_projection

    settings = load_config(config)
    torch.set_num_threads(settings.features.threads)
    extract(
        load_detector(settings, "dimofs", checkpoint),
        _read_dives(settings, dataset),
        read_pairs(pairs),
        load_projection(pca),
        settings.model,
        settings.features,
        partial(farneback, settings=settings.features.flow.settings),
        out,
        resume,
        _identity(
            "features", settings.seed, settings, {"features": settings.features}, (checkpoint, pca, pairs, dataset)
        ),
    )


@clusters_app.command("fit")
def clusters_fit(kind: str, config: ConfigFile, train: Table, test: Table, out: Out) -> None:
    """Cluster the people of dives by pose, pose_flow or pose_dimofs."""
    import pandas as pd

    from dimofs.io import write_parquet
    from dimofs.recognition.clusters import cluster_ids

    settings = load_config(config)
    features = pd.read_parquet(train), pd.read_parquet(test)
    write_parquet(cluster_ids(*features, kind, settings.clusters, settings.seed), out)


@clusters_app.command("describe")
def clusters_describe(config: ConfigFile, pose: Table, pose_flow: Table, pose_dimofs: Table, out: Out) -> None:
    """Tell sizes and entropy of the clusters, and how well clusterings with other seeds agree."""
    import pandas as pd

    from dimofs.io import write_csv
    from dimofs.recognition.clusters import KINDS, describe

    tables = map(pd.read_parquet, (pose, pose_flow, pose_dimofs))
    write_csv(describe(dict(zip(KINDS, tables, strict=True)), load_config(config).clusters), out)


@clusters_app.command("draw")
def clusters_draw(ids: Table, features: Table, out: Out) -> None:
    """Draw the members nearest to the centres of a dozen clusters as poses with their motion."""
    import pandas as pd

    from dimofs.recognition.picture import draw_clusters

    draw_clusters(pd.read_parquet(ids), pd.read_parquet(features), out)


@recognition_app.command("train")
def recognition_train(
    config: ConfigFile,
    dataset: Dataset,
    ids: Annotated[Path, typer.Option(help="clusters of poses and DiMoFs (Parquet)")],
    features: Annotated[Path, typer.Option(help="features of the training dives (Parquet)")],
    init: Annotated[Path, typer.Option(help="checkpoint of DiMoFs to start from")],
    seed: Seed,
    out: Out,
    curve: Out,
    resume: Annotated[Path, typer.Option(help="resume point, removed at the end")],
) -> None:
    """Train Ours-final: the network of §5.1, to predict the clusters of people."""
    import pandas as pd

    from dimofs.recognition.cluster_network import labelled_people, train_cluster_network

    settings = load_config(config)
    actions = {key: getattr(settings.actions, key) for key in CLUSTER_NETWORK}
    decisive = {"final": settings.recognition.final, "clusters": settings.clusters.clusters, **actions}
    people = pd.read_parquet(features, columns=["video", "frame", "delta", "person", "box"])
    train_cluster_network(
        settings,
        [dive for dive in _read_dives(settings, dataset) if dive.split == "train"],
        labelled_people(pd.read_parquet(ids), people),
        init,
        _run("final", settings, seed, decisive, (dataset, ids, features, init), out, curve, resume),
    )


@recognition_app.command("describe")
def recognition_describe(
    config: ConfigFile,
    checkpoint: Checkpoint,
    dataset: Dataset,
    train_pairs: PairIndex,
    test_pairs: PairIndex,
    out: Out,
    resume: Annotated[Path, typer.Option(help="folder of finished parts, removed at the end")],
) -> None:
    """Sum up what Ours-final says of the clusters of people, over all pairs of every dive."""
    import pandas as pd
    import torch

    from dimofs.pairs.index import read_pairs
    from dimofs.recognition.cluster_network import describe_dives

    settings = load_config(config)
    torch.set_num_threads(settings.recognition.final.training.threads)
    actions = {key: getattr(settings.actions, key) for key in CLUSTER_NETWORK}
    decisive = {"final": settings.recognition.final, "clusters": settings.clusters.clusters, **actions}
    describe_dives(
        _cluster_network(settings, checkpoint),
        _read_dives(settings, dataset),
        pd.concat([read_pairs(train_pairs), read_pairs(test_pairs)]),
        settings,
        out,
        resume,
        _identity("final", settings.seed, settings, decisive, (checkpoint, dataset, train_pairs, test_pairs)),
    )


@recognition_app.command("classify-histograms")
def recognition_classify_histograms(config: ConfigFile, dataset: Dataset, ids: Table, out: Out) -> None:
    """Recognise the test dives by the histograms of their clusters: Ours-init."""
    import pandas as pd

    from dimofs.recognition.classify import cluster_histograms

    settings = load_config(config)
    dives = _read_dives(settings, dataset)
    described = cluster_histograms(pd.read_parquet(ids), dives, settings.clusters.clusters)
    _classify(settings, dives, described, settings.recognition.classifier, out)


@recognition_app.command("classify-activations")
def recognition_classify_activations(config: ConfigFile, dataset: Dataset, activations: Table, out: Out) -> None:
    """Recognise the test dives by the clusters that the network sees in them: Ours-final."""
    import pandas as pd

    from dimofs.recognition.classify import summed_activations

    settings = load_config(config)
    dives = _read_dives(settings, dataset)
    described = summed_activations(pd.read_parquet(activations), dives)
    _classify(settings, dives, described, settings.recognition.classifier, out)


@recognition_app.command("classify-scenes")
def recognition_classify_scenes(config: ConfigFile, checkpoint: Checkpoint, dataset: Dataset, out: Out) -> None:
    """Recognise the test dives by their scenes, the divers hidden: the control of Table 4."""
    import torch

    from dimofs.datasets.manifest import dataset_root
    from dimofs.pose.pretrain import load_detector
    from dimofs.recognition.scene import scene_descriptors

    settings = load_config(config)
    torch.set_num_threads(settings.recognition.final.training.threads)
    dives = _read_dives(settings, dataset)
    backbone = load_detector(settings, "still", checkpoint).backbone
    sidecars = dataset_root(dataset) / "sidecar"
    described = scene_descriptors(backbone, dives, sidecars, settings.recognition.scene_frames, settings.model)
    as_they_are = settings.recognition.classifier.model_copy(update={"normalise": False})  # no sums over pairs
    _classify(settings, dives, described, as_they_are, out)


@recognition_app.command("cost-ours")
def recognition_cost_ours(
    config: ConfigFile,
    detector: Checkpoint,
    pca: Annotated[Path, typer.Option(help="PCA of DiMoFs at joints (safetensors)")],
    network: Checkpoint,
    dataset: Dataset,
    pairs: PairIndex,
    pose: Table,
    pose_flow: Table,
    pose_dimofs: Table,
    activations: Table,
    out: Out,
) -> None:
    """Measure what our rows of Table 4 cost for one video."""
    import pandas as pd

    from dimofs.io import write_csv
    from dimofs.pairs.index import read_pairs
    from dimofs.pose.pretrain import load_detector
    from dimofs.recognition.cost_ours import cost_ours
    from dimofs.recognition.features import load_projection

    settings = load_config(config)
    costs = cost_ours(
        load_detector(settings, "dimofs", detector),
        load_projection(pca),
        _cluster_network(settings, network),
        _read_dives(settings, dataset),
        read_pairs(pairs),
        {
            "pose": pd.read_parquet(pose),
            "pose_flow": pd.read_parquet(pose_flow),
            "pose_dimofs": pd.read_parquet(pose_dimofs),
        },
        pd.read_parquet(activations),
        settings,
    )
    write_csv(costs, out)


@recognition_app.command("train-rival")
def recognition_train_rival(
    name: Annotated[str, typer.Argument(help="a network of others, or <network>_corpus: its pre-training")],
    config: ConfigFile,
    dataset: Annotated[Path, typer.Option(help="manifest of the dives, or of the corpus of actions")],
    seed: Seed,
    out: Out,
    curve: Out,
    resume: Annotated[Path, typer.Option(help="resume point, removed at the end")],
    init: Annotated[Path | None, typer.Argument(help="checkpoint to start from")] = None,
) -> None:
    """Train a network of others: on the corpus of actions, on the training dives, or on those but the hold-out."""
    from dimofs.datasets.corpus import read_corpus
    from dimofs.datasets.manifest import dataset_root
    from dimofs.datasets.records import JHMDB_CLASSES
    from dimofs.recognition.predictions import LABELS, hold_out
    from dimofs.recognition.rivals import HELD_OUT, PRETRAININGS, RIVALS, train_rival

    settings = load_config(config)
    rivals = settings.recognition.rivals
    if name not in RIVALS | HELD_OUT | PRETRAININGS:
        raise ConfigError(f"{name}: no such rival; there are {', '.join(RIVALS | HELD_OUT | PRETRAININGS)}")
    videos: list[Action] | list[Dive]
    if name in PRETRAININGS:
        videos, classes, training = read_corpus(dataset_root(dataset)), len(JHMDB_CLASSES), rivals.pretraining
    else:
        dives = _read_dives(settings, dataset)
        videos = hold_out(dives)[0] if name in HELD_OUT else [dive for dive in dives if dive.split == "train"]
        classes, training = LABELS, rivals.training
    others = {"training", "pretraining", "views"}
    decisive = {key: getattr(rivals, key) for key in type(rivals).model_fields if key not in others}
    train_rival(
        settings,
        (RIVALS | HELD_OUT | PRETRAININGS)[name],
        videos,
        classes,
        training,
        init,
        _run(name, settings, seed, {**decisive, "training": training}, (dataset, init), out, curve, resume),
    )


@recognition_app.command("predict-rivals")
def recognition_predict_rivals(
    config: ConfigFile,
    dataset: Dataset,
    folder: Annotated[Path, typer.Option(help="of <rival>.safetensors; <row>.parquet and the costs are written there")],
) -> None:
    """Say what every network of others takes the test dives for, and what that costs."""
    import torch

    from dimofs.io import write_csv
    from dimofs.recognition.cost_rivals import cost_rivals
    from dimofs.recognition.predictions import hold_out, write_predictions
    from dimofs.recognition.rivals import HELD_OUT, ROWS, load_part, load_row, predict_rivals

    settings = load_config(config)
    torch.set_num_threads(settings.recognition.rivals.training.threads)
    dives = _read_dives(settings, dataset)
    test = [dive for dive in dives if dive.split == "test"]
    rows = {row: load_row(row, settings, folder) for row in ROWS}
    held_out = {name: [load_part(rival, settings, folder / f"{name}.safetensors")] for name, rival in HELD_OUT.items()}
    for wanted, chosen in ((rows, test), (held_out, hold_out(dives)[1])):
        for name, scores in predict_rivals(settings, wanted, chosen).items():
            write_predictions(chosen, scores, folder / f"{name}.parquet")
    write_csv(cost_rivals(settings, rows, test), folder / "cost_rivals.csv")


@recognition_app.command("fuse")
def recognition_fuse(
    config: ConfigFile,
    dataset: Dataset,
    activations: Table,
    ours: Predictions,
    theirs: Predictions,
    theirs_held_out: Annotated[Path, typer.Option(help="of a network that was not trained on these dives (Parquet)")],
    out: Out,
    weights: Out,
) -> None:
    """Fuse Ours-final and R(2+1)D late; the weight is chosen on training dives whose labels neither has seen."""
    import pandas as pd

    from dimofs.io import write_csv
    from dimofs.recognition.classify import fit_classifier, label_scores, summed_activations
    from dimofs.recognition.fusion import fuse, fusion_weights
    from dimofs.recognition.predictions import hold_out, read_predictions, write_predictions

    settings = load_config(config)
    dives = _read_dives(settings, dataset)
    fitted, held_out = hold_out(dives)
    test = [dive for dive in dives if dive.split == "test"]
    sums = pd.read_parquet(activations)
    labels = [dive.label for dive in fitted]
    classifier = fit_classifier(
        summed_activations(sums, fitted), labels, settings.recognition.classifier, settings.seed
    )
    ours_held_out = label_scores(classifier, summed_activations(sums, held_out))
    tried = fusion_weights(ours_held_out, read_predictions(theirs_held_out, held_out), held_out)
    chosen = float(tried.loc[tried["chosen"], "weight"].item())
    write_predictions(test, fuse(read_predictions(ours, test), read_predictions(theirs, test), chosen), out)
    write_csv(tried, weights)


@recognition_app.command("evaluate")
def recognition_evaluate(
    config: ConfigFile,
    rows: Rows,
    dataset: Dataset,
    predictions: Annotated[Path, typer.Option(help="folder of <name>.parquet")],
    out: Out,
    differences: Out,
) -> None:
    """Judge the rows of Table 4 beside chance and controls, with paired bootstrap intervals over source videos."""
    from dimofs.io import write_csv
    from dimofs.recognition.evaluate import evaluate_recognition
    from dimofs.recognition.predictions import read_predictions
    from dimofs.recognition.rows import read_rows

    settings = load_config(config)
    listed = read_rows(rows)
    dives = _read_dives(settings, dataset)
    test = [dive for dive in dives if dive.split == "test"]
    names = [row.name for row in listed] + (["scene_only"] if settings.datasets.source == "rendered" else [])
    scores = {name: read_predictions(predictions / f"{name}.parquet", test) for name in names}
    tables = evaluate_recognition(dives, scores, listed, settings.paper, settings.seed)
    for table, path in zip(tables, (out, differences), strict=True):
        write_csv(table, path)


@paper_app.command()
def table1(config: ConfigFile, average_precision: Table, differences: Table, out: Out) -> None:
    """Make Table 1: pose mAP at δ = 0."""
    import pandas as pd

    from dimofs.io import write_csv
    from dimofs.paper import tables

    pose_data, _ = _data(config)
    table = tables.table1(pd.read_csv(average_precision), pd.read_csv(differences), pose_data)
    write_csv(table.assign(initial_weights=_initial_weights(config)), out)


@paper_app.command()
def table2(config: ConfigFile, tracking: Table, differences: Table, out: Out) -> None:
    """Make Table 2: MOTA per joint."""
    import pandas as pd

    from dimofs.io import write_csv
    from dimofs.paper import tables

    pose_data, _ = _data(config)
    table = tables.table2(pd.read_csv(tracking), pd.read_csv(differences), pose_data)
    initial = pd.Series(_initial_weights(config), table.index).where(table["source"] != "paper")
    write_csv(table.assign(initial_weights=initial), out)


@paper_app.command()
def table3(
    config: ConfigFile, ablations: Ablations, columns: Table, differences: Table, out: Out, differences_out: Out
) -> None:
    """Make Table 3, and the differences that the paper draws between its columns."""
    import pandas as pd

    from dimofs.actions.ablations import read_columns
    from dimofs.io import write_csv
    from dimofs.paper import tables

    initial = _initial_weights(config)
    table = tables.table3(read_columns(ablations), pd.read_csv(columns))
    write_csv(table.assign(initial_weights=initial), out)
    write_csv(tables.table3_differences(pd.read_csv(differences)).assign(initial_weights=initial), differences_out)


@paper_app.command()
def table4(rows: Rows, accuracy: Table, cost_ours: Table, cost_rivals: Table, out: Out) -> None:
    """Make Table 4: accuracy on dives, beside chance and controls, and what a video costs."""
    import pandas as pd

    from dimofs.io import write_csv
    from dimofs.paper import tables
    from dimofs.recognition.rows import read_rows

    costs = pd.concat([pd.read_csv(cost_ours), pd.read_csv(cost_rivals)])
    write_csv(tables.table4(read_rows(rows), pd.read_csv(accuracy), costs), out)


@paper_app.command()
def motion_table(config: ConfigFile, quantities: Table, out: Out) -> None:
    """Make the table of the figures of merit of motion."""
    import pandas as pd

    from dimofs.io import write_csv
    from dimofs.paper import tables

    pose_data, _ = _data(config)
    table = tables.motion_table(pd.read_csv(quantities, keep_default_na=False), pose_data)
    write_csv(table.assign(initial_weights=_initial_weights(config)), out)


@paper_app.command()
def motion_capture(
    average_precision: Table, differences: Table, quantities: Table, out: Out, motion_out: Out, figure: Out, png: Out
) -> None:
    """Make the tables and the figure of the motion-capture part: the δ-sweep, and the figures of merit of motion."""
    import pandas as pd

    from dimofs.io import write_csv
    from dimofs.paper import figures, tables

    precision, changes = pd.read_csv(average_precision), pd.read_csv(differences)
    write_csv(tables.sweep_table(precision, changes, CAPTURED), out)
    write_csv(tables.motion_table(pd.read_csv(quantities, keep_default_na=False), CAPTURED), motion_out)
    figures.save(figures.figure6(precision, changes, CAPTURED), figure, png)


@paper_app.command()
def figure3(
    config: ConfigFile,
    examples: Annotated[Path, typer.Option(help="rows of dimofs motion show (npz)")],
    out: Out,
    png: Out,
) -> None:
    """Draw Figure 3: the motion in DiMoFs beside optical flow."""
    from dimofs.motion.examples import read_examples
    from dimofs.paper import figures
    from dimofs.paper.figure3 import RULE
    from dimofs.paper.figure3 import figure3 as draw

    pose_data, _ = _data(config)
    figures.save(draw(read_examples(examples), pose_data, RULE), out, png)


@paper_app.command()
def figure6(config: ConfigFile, average_precision: Table, differences: Table, out: Out, png: Out) -> None:
    """Draw Figure 6: pose mAP over δ."""
    import pandas as pd

    from dimofs.paper import figures

    pose_data, _ = _data(config)
    figures.save(figures.figure6(pd.read_csv(average_precision), pd.read_csv(differences), pose_data), out, png)


@paper_app.command()
def figure7(config: ConfigFile, sweep: Table, out: Out, png: Out) -> None:
    """Draw Figure 7: action frame-mAP over δ."""
    import pandas as pd

    from dimofs.paper import figures

    _, action_data = _data(config)
    figures.save(figures.figure7(pd.read_csv(sweep), action_data), out, png)


@paper_app.command()
def training_curves(
    config: ConfigFile, still: FirstTable, single_frame: FirstTable, dimofs: FirstTable, out: Out, png: Out
) -> None:
    """Draw how the pose networks learn on unseen videos."""
    import pandas as pd

    from dimofs.paper import figures

    settings = load_config(config)
    pose_data, _ = _data(config)
    figure = figures.training_curves(
        [pd.read_csv(path) for path in _of_seeds(settings, still)],
        [pd.read_csv(path) for path in _of_seeds(settings, single_frame)],
        [pd.read_csv(path) for path in _of_seeds(settings, dimofs)],
        pose_data,
    )
    figures.save(figure, out, png)


@paper_app.command()
def claims(
    tables: Annotated[list[Path], typer.Argument(help="tables of the chapters that have run")],
    results: Annotated[Path, typer.Option(help="the folder that the claims name their tables in")],
    out: Out,
) -> None:
    """Judge every claim of the paper that a number can decide, by its interval."""
    from dimofs.io import write_csv
    from dimofs.paper.claims import judge_claims, paper_claims, read_tables

    write_csv(judge_claims(paper_claims(), read_tables(results, tables)), out)


@paper_app.command()
def report(
    config: ConfigFile,
    results: Annotated[Path, typer.Option(help="folder of tables and figures")],
    benchmarks: Annotated[Path, typer.Option(help="folder of Snakemake's benchmark files")],
    dataset: Dataset,
    out: Out,
) -> None:
    """Write the page about a run: tables beside the paper's, figures, ledger, sample detections, what ran on what."""
    from dimofs.paper.report import write_report

    write_report(results, config, benchmarks, dataset, *_data(config), out)


@app.command("label")
def label_footage(
    source: Annotated[str, typer.Argument(help="video file, or folder of images")],
    out: Annotated[Path, typer.Option(help="folder in PoseTrack18's layout; its manifest is written beside it")],
    poses: Annotated[
        Path | None, typer.Option(help="JSON of any teacher: COCO keypoints or PoseTrack18, every frame in its order")
    ] = None,
    score: Annotated[float, typer.Option(help="least score of a person, where the teacher gives scores")] = 0.5,
) -> None:
    """Label a video by a teacher (pseudo-labels): torchvision's Keypoint R-CNN, or poses of any other in a file."""
    from dimofs.video.label import label

    done = label(source, out, poses, score)
    typer.echo(f"{out}: {done.frames} frames, {done.people} poses in {done.tracks} tracks, all of them pseudo-labels")


@app.command("video")
def own_video(
    source: Annotated[str, typer.Argument(help="video file or address, folder of images, or a camera's number")],
    out: Annotated[Path, typer.Option(help="folder for poses.json, features.parquet, overlay.mp4")],
    checkpoint: Annotated[Path, typer.Option(help="weights of DiMoFs")] = Path("results/pretrain/dimofs.safetensors"),
    delta: Annotated[list[int], typer.Option(help="gap in frames, again for more; the overlay shows the first")] = [5],  # noqa: B006
    score: Annotated[float, typer.Option(help="least score of a person")] = 0.5,
    size: Annotated[int | None, typer.Option(help="long side of the network's frames, if not as in training")] = None,
    dense: Annotated[bool, typer.Option("--dense", help="also the offsets of every pixel: dense/*.npz")] = False,
) -> None:
    """Find, track and describe the people of any video; interrupted, the same command goes on."""
    _require_checkpoint(checkpoint)
    from dimofs.video.run import run

    try:
        summary = run(source, checkpoint, out, deltas=delta, score=score, size=size, dense=dense)
    except KeyboardInterrupt:
        sys.exit("dimofs: interrupted; the same command goes on where it was")
    damaged = f"; {summary.damaged} damaged frames left out" if summary.damaged else ""
    typer.echo(f"{out}: {summary.frames} frames, {summary.tracks} tracks{damaged}")


@app.command("figure")
def own_figure(
    number: Annotated[int, typer.Argument(min=3, max=3, help="3; the others need labels: make results/figure6.pdf")],
    video: Annotated[str, typer.Option(help="video file or folder of images")],
    out: Annotated[Path, typer.Option(help="figure to write (.pdf); the same as .png lies beside it")],
    checkpoint: Annotated[Path, typer.Option(help="weights of DiMoFs")] = Path("results/pretrain/dimofs.safetensors"),
    read_out: Annotated[Path | None, typer.Option(help="read-out of these weights (dimofs motion fit)")] = None,
    delta: Annotated[int, typer.Option(help="gap in frames from A to B")] = 10,
) -> None:
    """Draw Figure 3 of your own video; without a read-out, without the column of predicted human motion."""
    _require_checkpoint(checkpoint)
    from dimofs.paper import figures
    from dimofs.paper.figure3 import figure3 as draw
    from dimofs.video.show import RULE, show_video

    if out.suffix != ".pdf":
        raise ConfigError(f"{out}: must end in .pdf; the same figure as .png is written beside it")
    examples = show_video(video, checkpoint, read_out, delta)
    figures.save(draw(examples, Path(video).name, RULE), out, out.with_suffix(".png"))


def _require_checkpoint(checkpoint: Path) -> None:
    """Say how to get a checkpoint that is missing."""
    if not checkpoint.exists():
        raise ConfigError(
            f"{checkpoint}: no such checkpoint; `make results/table1.csv` trains one, or name yours by --checkpoint"
        )


def _data(config: Path) -> tuple[str, str]:
    """Say what poses and actions are measured on."""
    return DATA[load_config(config).datasets.source]


def _initial_weights(config: Path) -> str:
    """Say what the networks behind a table start from, for the paper's start from COCO keypoints (A12)."""
    settings = load_config(config)
    if settings.datasets.source == "footage" and settings.pretrain.initial_weights == "stills":
        return "the footage's training frames, one by one"
    return INITIAL_WEIGHTS[settings.pretrain.initial_weights]


def _detections(
    settings: Config, folder: Path, trainings: Iterable[str], end: str = ""
) -> "dict[str, list[pd.DataFrame]]":
    """Read the detections of each training, a table for each seed."""
    import pandas as pd

    return {
        training: [pd.read_parquet(path) for path in _of_seeds(settings, folder / f"{training}{end}.parquet")]
        for training in dict.fromkeys(trainings)
    }


def _of_seeds(settings: Config, first: Path) -> list[Path]:
    """Name a file of each seed's trainings, given that of the first seed: the others lie beside it."""
    return [first.with_stem(f"{first.stem}{run}") for run in settings.runs()]


def _read(name: str, settings: Config, manifest: Path) -> "list[Video]":
    """Read a data set in its official layout."""
    from dimofs.datasets.diving48 import as_video
    from dimofs.datasets.jhmdb import read_jhmdb
    from dimofs.datasets.manifest import dataset_root
    from dimofs.datasets.posetrack import read_posetrack18

    if name == "diving48":
        return [as_video(dive) for dive in _read_dives(settings, manifest)]
    root = dataset_root(manifest)
    return read_jhmdb(root, settings.pairs.jhmdb_split) if name == "jhmdb" else read_posetrack18(root)


def _read_dives(settings: Config, manifest: Path) -> "list[Dive]":
    from dimofs.datasets.diving48 import read_diving48
    from dimofs.datasets.manifest import dataset_root

    return read_diving48(dataset_root(manifest), settings.pairs.diving48_labels)


def _cluster_network(settings: Config, checkpoint: Path) -> "ActionLocalizer":
    from dimofs.recognition.cluster_network import build_cluster_network
    from dimofs.training.checkpoint import load_checkpoint

    network = build_cluster_network(settings, None)
    network.load_state_dict(load_checkpoint(checkpoint)[0])
    return network


def _classify(
    settings: Config, dives: "list[Dive]", described: "NDArray[np.float64]", classifier: Classifier, out: Path
) -> None:
    """Fit the classifier on the training dives' rows of the descriptors (N, F); write the scores of the test dives."""
    import numpy as np

    from dimofs.recognition.classify import fit_classifier, label_scores
    from dimofs.recognition.predictions import write_predictions

    train, test = (np.array([dive.split == split for dive in dives]) for split in ("train", "test"))
    labels = [dive.label for dive in dives if dive.split == "train"]
    fitted = fit_classifier(described[train], labels, classifier, settings.seed)
    tested = [dive for dive in dives if dive.split == "test"]
    write_predictions(tested, label_scores(fitted, described[test]), out)


def _run(
    name: str,
    settings: Config,
    seed: int,
    decisive: dict[str, object],
    files: tuple[Path | None, ...],
    checkpoint: Path,
    curve: Path,
    resume: Path,
) -> "Run":
    """Name a training by all that decides its weights: its configuration, its seed, its data, what it starts from."""
    from dimofs.training.loop import Run

    return Run(name, seed, _identity(name, seed, settings, decisive, files), checkpoint, curve, resume)


def _identity(
    name: str, seed: int, settings: Config, decisive: dict[str, object], files: tuple[Path | None, ...]
) -> dict[str, object]:
    """Name a result by its configuration, its seed, and the files that it is made from."""
    values = {"seed": seed, "model": settings.model, **decisive}
    plain = {key: value.model_dump() if isinstance(value, Section) else value for key, value in values.items()}
    return {
        "network": name,
        **json.loads(json.dumps(plain)),  # as a file gives it back, where tuples are lists
        "sha256": {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file},
    }


def main() -> None:
    """Run a verb; an error of the user's input is one line, not a traceback."""
    try:
        app()
    except (DimofsError, OSError) as error:
        sys.exit(f"dimofs: {error}")


if __name__ == "__main__":
    main()
