"""The configuration: one typed section per chapter, plus what they share: `seed`, `seeds` and `model`.

`config/config.yaml` is complete: every key is written there, an unknown or missing key is an error that names it.
Rules and verbs read their own section and the shared ones, nothing else.
"""

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from dimofs import DimofsError


class ConfigError(DimofsError, ValueError):
    """A configuration file that cannot be used; the message names the file and the key."""


class Section(BaseModel):
    """A part of the configuration: unknown keys are errors and values cannot be changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DeltaRange(Section):
    """Time gaps δ in frames: `min, min + step, …, max`, both ends included."""

    min: int = Field(description="smallest δ")
    max: int = Field(description="largest δ")
    step: int = Field(ge=1, description="distance between neighbours")

    @model_validator(mode="after")
    def _is_a_range(self) -> "DeltaRange":
        if self.max < self.min or (self.max - self.min) % self.step:
            raise ValueError(f"max must be min plus a multiple of step, got {self.min}, {self.max}, {self.step}")
        return self

    def values(self) -> tuple[int, ...]:
        """Every δ of the range, ascending."""
        return tuple(range(self.min, self.max + 1, self.step))


class PoseTrackSize(Section):
    """Size of the embedded data set in the PoseTrack18 layout."""

    train_videos: int = Field(ge=1, description="training videos")
    val_videos: int = Field(ge=1, description="validation videos")
    frames: int = Field(ge=2, description="frames of every video")
    labelled_frames: int = Field(ge=1, description="consecutive labelled frames in the middle of a video")
    val_label_step: int = Field(ge=1, description="outside the middle, every n-th validation frame is labelled too")

    @model_validator(mode="after")
    def _labels_fit(self) -> "PoseTrackSize":
        if self.labelled_frames > self.frames:
            raise ValueError("labelled_frames must not exceed frames")
        return self


class StillsSize(Section):
    """Size of the embedded still-image set (PoseTrack18 layout, one frame a sequence): the stand-in for COCO (A12)."""

    images: int = Field(ge=1, description="independent labelled images")


class JhmdbSize(Section):
    """Size of the embedded data set in the JHMDB layout."""

    clips_per_class: int = Field(
        ge=3, description="clips of each of the 21 classes; a third of them test in each split"
    )
    min_frames: int = Field(ge=2, description="frames of the shortest clip")
    max_frames: int = Field(ge=2, description="frames of the longest clip")

    @model_validator(mode="after")
    def _are_in_order(self) -> "JhmdbSize":
        if self.max_frames < self.min_frames:
            raise ValueError(f"max_frames must not be below min_frames, got {self.max_frames}, {self.min_frames}")
        return self


class Diving48Size(Section):
    """Size of the embedded data set in the Diving48 layout."""

    train_clips_per_class: int = Field(ge=1, description="training clips of each of the 47 classes that V2 populates")
    test_clips_per_class: int = Field(ge=1, description="test clips of each of them")
    train_videos: int = Field(ge=1, description="source videos (venue, divers, camera) of the training clips")
    test_videos: int = Field(ge=1, description="source videos of the test clips, all of them others")
    frame_rate: int = Field(ge=10, description="frames a second; a clip lasts about two seconds")


class CorpusSize(Section):
    """Size of the embedded corpus of actions: what Kinetics and Sports1M are to the paper's 3-D networks."""

    clips_per_class: int = Field(ge=1, description="clips of each of JHMDB's 21 classes, none of them in that data set")
    frames: int = Field(ge=2, description="frames of every clip")


class MotionCaptureSize(Section):
    """Size of the motion-capture part: validation videos as those of `posetrack18`, but for how people move in them."""

    videos: int = Field(ge=1, description="validation videos; nothing is trained on them")


class FrameRange(Section):
    """Frames of a video: `first, …, last`, counted from 0."""

    first: int = Field(ge=0, description="first frame")
    last: int = Field(ge=0, description="last frame, included")

    @model_validator(mode="after")
    def _is_a_range(self) -> "FrameRange":
        if self.last < self.first:
            raise ValueError(f"last must not be before first, got {self.first}, {self.last}")
        return self


class Footage(Section):
    """A video with poses of a teacher (pseudo-labels), cut into clips in the layout of PoseTrack18."""

    video: Path = Field(description="any video that FFmpeg reads, or a folder of images")
    poses: Path = Field(description="poses of all of its frames: JSON of COCO keypoints or PoseTrack18")
    train: FrameRange = Field(description="labelled training frames")
    val: FrameRange = Field(description="labelled validation frames")
    clip_frames: int = Field(ge=1, description="labelled frames of a clip, which is what the bootstrap draws")
    margin: int = Field(ge=0, description="unlabelled frames before and after them, inside train or val: room for δ")

    @model_validator(mode="after")
    def _parts_are_apart(self) -> "Footage":
        if self.val.first <= self.train.last and self.train.first <= self.val.last:
            raise ValueError("train and val must not share a frame")
        return self


class Datasets(Section):
    """Chapter `datasets`: what is rendered, and whether official archives or footage take its place."""

    source: Literal["rendered", "archives", "footage"] = Field(
        description="PoseTrack18, JHMDB and Diving48: rendered here, or unpacked from their official archives; or "
        "footage with pseudo-labels in the place of PoseTrack18 and the stills, and no actions"
    )
    footage: Footage | None = Field(description="the footage, where it is the source; else null")
    accept_terms: tuple[str, ...] = Field(
        description="data sets whose terms of use (config/datasets.tsv) you accept: missing archives are downloaded"
    )
    accept_partial: bool = Field(description="use archives with gaps; what is missing is written down and left out")
    frame_size: int = Field(ge=64, multiple_of=2, description="height and width of every frame, pixels")
    posetrack18: PoseTrackSize
    stills: StillsSize
    jhmdb: JhmdbSize
    diving48: Diving48Size
    corpus: CorpusSize
    motion_capture: MotionCaptureSize

    @model_validator(mode="after")
    def _footage_is_there(self) -> "Datasets":
        if self.source == "footage" and self.footage is None:
            raise ValueError("source is footage, so the section footage must say which")
        return self


class Pairs(Section):
    """Chapter `pairs`: every δ for which pairs are listed. Training draws from a train range (§5, A9, A28)."""

    posetrack18_train: DeltaRange
    posetrack18_val: DeltaRange
    jhmdb_train: DeltaRange
    jhmdb_test: DeltaRange
    jhmdb_split: Literal[1, 2, 3] = Field(description="official split")
    diving48_train: DeltaRange
    diving48_test: DeltaRange
    diving48_labels: Literal["V1", "V2"] = Field(description="version of the labels (A40); V1 is the paper's")


class Model(Section):
    """The detector that every network of the project shares."""

    backbone: Literal["small", "resnet50", "resnet101"] = Field(description="small: four residual stages, for a CPU")
    small_width: int = Field(ge=8, description="channels of the small backbone's first stage (doubled per stage)")
    fpn_channels: int = Field(ge=8, description="FPN channels = displacements per scale (A1); 256 in the paper")
    anchor_sizes: tuple[int, int, int, int, int] = Field(description="RPN anchor side per level P2..P6, pixels")
    image_size: int = Field(ge=64, description="short side that frames are resized to, pixels")
    image_max_size: int = Field(ge=64, description="bound on the long side, pixels")
    box_features: int = Field(ge=8, description="width of the two-layer box head; 1024 in the paper")
    keypoint_layers: tuple[int, ...] = Field(
        min_length=1, description="channels of the keypoint head's 3×3 convolutions"
    )
    proposals_train: int = Field(ge=1, description="RPN proposals kept in training")
    proposals_test: int = Field(ge=1, description="RPN proposals kept at test time")
    rois_per_image: int = Field(ge=1, description="RoIs sampled per image for the box loss")
    anchors_per_image: int = Field(ge=1, description="anchors sampled per image for the RPN loss")
    detections_per_image: int = Field(ge=1, description="detections kept per frame")
    score_threshold: float = Field(ge=0, lt=1, description="detections below are dropped")
    nms_threshold: float = Field(gt=0, le=1, description="IoU of the box suppression")

    @field_validator("image_size")
    @classmethod
    def _is_small_for_a_narrow_backbone(cls, image_size: int, info: ValidationInfo) -> int:
        # oneDNN's gradient of a 1×1 convolution with stride 2 writes outside its memory there (torch 2.15, AVX-512).
        if info.data.get("backbone") == "small" and info.data.get("small_width", 16) < 16 and image_size > 96:
            raise ValueError(
                "image_size must be at most 96 where small_width is below 16; a CPU's training crashes there"
            )
        return image_size


class Training(Section):
    """One optimisation: budget and schedule. Networks that are compared share one of these."""

    steps: int = Field(ge=1, description="optimiser steps")
    batch_size: int = Field(ge=1, description="images (or pairs) a step")
    optimizer: Literal["sgd", "adamw"]
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    warmup_steps: int = Field(ge=0, description="linear warm-up, from a third of the rate (A13)")
    schedule: Literal["cosine", "steps"] = Field(description="cosine to zero, or ×0.1 at each milestone")
    milestones: tuple[float, ...] = Field(description="for `steps`: fractions of the budget")
    clip_norm: float = Field(gt=0, description="bound on the gradient's norm")
    checkpoint_every: int = Field(ge=1, description="steps between resume points")
    validate_every: int = Field(ge=1, description="steps between validations, logged in the curve")
    threads: int = Field(ge=1, description="CPU threads of torch; part of the result, so fixed here and not by --cores")


class Augmentation(Section):
    """Random changes, identical for Frame A and Frame B (A10)."""

    window: int | None = Field(
        ge=32,
        description="side of the square around a person that training sees of a frame, pixels; null: the whole frame",
    )
    flip: float = Field(ge=0, le=1, description="probability of a horizontal flip")
    min_scale: float = Field(gt=0, description="smallest zoom")
    max_scale: float = Field(gt=0, description="largest zoom")
    shift: float = Field(ge=0, le=0.5, description="largest shift, as a fraction of the frame")
    brightness: float = Field(ge=0, lt=1, description="largest relative change of brightness and contrast")
    short_sides: tuple[Annotated[int, Field(ge=64)], ...] = Field(
        description="short side that a frame is resized to in training, one of these by chance; none: model.image_size"
    )


class Pretrain(Section):
    """Chapter `pretrain` (§3): still-image initialisation; from it, single-frame baseline and DiMoFs."""

    initial_weights: Literal["stills", "imagenet", "coco_keypoints"] = Field(
        description="still-image initialisation (A12): trained here on `stills`, or torchvision's published weights"
    )
    frozen_stages: int = Field(
        ge=0, le=4, description="residual stages of the backbone that keep the initial weights, with its stem (A11)"
    )
    recompute_offsets: bool = Field(
        description="offset maps are computed again for the backward pass instead of kept: less memory, more time"
    )
    still: Training = Field(description="still-image initialisation on `stills`")
    pose: Training = Field(description="shared by the single-frame baseline and DiMoFs: equal budgets by construction")
    augmentation: Augmentation
    validation_frames: int = Field(ge=1, description="validation frames scored for the training curve")


class Pose(Section):
    """Chapter `pose` (§5, §6.1): the δ-sweep on PoseTrack."""

    neck: Literal["shoulders", "head_bottom"] = Field(description="what is exported as the neck (A21)")
    ranked_by: Literal["joint", "person"] = Field(
        description="a joint's score: its own, or its person's box score alone"
    )
    batch_size: int = Field(ge=1, description="pairs a forward pass")
    threads: int = Field(ge=1, description="CPU threads of torch")


class Linker(Section):
    """How detections of consecutive frames are linked to tracks."""

    cost: Literal["iou", "oks"] = Field(description="1 − IoU of the boxes, or 1 − OKS of the poses")
    memory: int = Field(ge=1, description="frames after which an unseen track is forgotten")
    max_cost: float | None = Field(description="dearer pairs do not link; null: every assigned pair links (A24)")


class OperatingPoint(Section):
    """Which detections are linked and exported: mAP and MOTA of the paper come from two different ones (A23)."""

    score: float = Field(ge=0, le=1, description="least box score of a person")
    area: float = Field(ge=0, description="least area of the box, pixels²")
    joint_score: float | None = Field(description="least heat map logit of a joint; null: every joint is exported")


class Linkers(Section):
    """Both are run, at both operating points."""

    detect_and_track: Linker = Field(description="the baseline's, behind the paper's MOTA (A24)")
    keypoints: Linker = Field(description="the better practice of the field")


class OperatingPoints(Section):
    """Both are judged."""

    filtered: OperatingPoint = Field(description="Detect-and-Track's, behind the paper's MOTA (A23)")
    unfiltered: OperatingPoint = Field(description="everything the detector gives, as behind Table 1")


class Tracking(Section):
    """Chapter `tracking` (§5, §6.1): tracks over the validation videos, and MOTA."""

    linkers: Linkers
    operating_points: OperatingPoints


class Motion(Section):
    """Chapter `motion` (§4): what the offsets show, and the linear read-out of human motion."""

    read_out_pairs: int = Field(ge=1, description="training pairs that the linear read-out is fitted on (A17)")
    frames: int = Field(ge=1, description="Frames A of every validation video that are measured at each δ")


class Farneback(Section):
    """Farneback flow of column 5 of Table 3 (A19)."""

    settings: Literal["detect_and_track", "opencv"] = Field(description="which settings (A19)")


class Actions(Section):
    """Chapter `actions` (§5.1, §6.2): the two-branch localiser, its ablations and δ-sweep on JHMDB."""

    training: Training = Field(description="shared by every column of Table 3")
    train_detector: bool = Field(
        description="whether backbone and RPN learn from the actions, too; an inflated backbone always does (A27)"
    )
    augmentation: Augmentation
    mlp_features: int = Field(ge=8, description="width of the appearance and the motion MLP; 1024 in the paper")
    positive_fraction: float = Field(
        gt=0, le=1, description="share of a frame's RoIs that may be people; 0.25 in Faster R-CNN (docs/decisions.md)"
    )
    box_loss_weight: float = Field(
        gt=0, description="of the box regression against the classes; 1 in Faster R-CNN (docs/decisions.md)"
    )
    scale_offsets_by_stride: bool = Field(
        description="offsets in pixels of the frame instead of their level's (A15, A26)"
    )
    inflated_frames: Literal[3] = Field(description="frames of the inflated 3-D baseline (A30)")
    flow: Farneback
    batch_size: int = Field(ge=1, description="pairs a forward pass at test time")
    proposals_test: int = Field(
        ge=1, description="proposals per frame at test time, and in training where they cannot get better"
    )
    score_threshold: float = Field(ge=0, lt=1, description="detections below are not judged (ACT: 0.01)")
    nms_threshold: float = Field(gt=0, le=1, description="per-class IoU suppression (ACT: 0.3)")
    sweep: tuple[str, ...] = Field(description="trainings of config/ablations.tsv that Figure 7 sweeps over δ")


class Features(Section):
    """Chapter `features` (§5.2): joints, DiMoFs at the joints and flow there, for every person of every dive."""

    score_threshold: float = Field(ge=0, lt=1, description="people detected with a lower score are left out")
    scope: Literal["joint", "stacked"] = Field(description="one PCA for every joint's vector, or for all stacked (A33)")
    components: int = Field(
        ge=1, description="dimensions that the PCA keeps, of each joint or of the stack; 15 in §5.2"
    )
    pca_dives: int = Field(ge=1, description="training dives, evenly over the list, that the PCA is fitted on")
    flow: Farneback
    batch_size: int = Field(ge=1, description="frames a forward pass")
    threads: int = Field(ge=1, description="CPU threads of torch")


class Clusters(Section):
    """Chapter `clusters` (§5.2): k-means over the features of the training dives."""

    clusters: int = Field(ge=2, description="K; 100 in §5.2")
    normalisation: Literal["box", "hip_torso", "raw"] = Field(description="what poses are relative to (A32)")
    l2: bool = Field(description="rows at length 1 before the clustering (A34)")
    iterations: int = Field(ge=1, description="most iterations of Lloyd's algorithm (A36)")
    restarts: int = Field(ge=1, description="runs with other first centres; the best is kept (A36)")
    seeds: int = Field(ge=2, description="whole clusterings, compared with each other; the first one counts")
    threads: int = Field(ge=1, description="CPU threads; part of the result, so fixed here and not by --cores")


class ClusterNetwork(Section):
    """Ours-final of Table 4: the network of §5.1, as chapter `actions` builds it, trained to predict clusters."""

    training: Training
    augmentation: Augmentation = Field(description="without flips: a mirrored diver is in another cluster")
    train_detector: bool = Field(description="whether backbone and RPN learn from the clusters, too")
    uniform_clusters: bool = Field(description="draw every cluster equally often, instead of every person (A36)")
    score_threshold: float = Field(ge=0, lt=1, description="people that are likelier background are left out (A38)")
    batch_size: int = Field(ge=1, description="frames a forward pass at test time")

    @field_validator("augmentation")
    @classmethod
    def _does_not_flip(cls, augmentation: Augmentation) -> Augmentation:
        if augmentation.flip:
            raise ValueError("flip must be 0: a mirrored diver is in another cluster")
        return augmentation


class Classifier(Section):
    """The two-layer MLP from what describes a dive to its class (A37); all our rows of Table 4 share it."""

    hidden: int = Field(ge=1, description="units between the layers")
    penalty: float = Field(ge=0, description="weight of the squared weights in the loss")
    iterations: int = Field(ge=1, description="most iterations of L-BFGS")
    normalise: bool = Field(description="descriptors sum to 1, whatever the length of the dive (A38)")


class Rivals(Section):
    """The networks of others in Table 4 (§6.3): one budget for all of them, on the same frames."""

    networks: Literal["small", "full"] = Field(
        description="small: for a CPU, from the still-image weights and the embedded corpus; full: torchvision's"
    )
    crop: float = Field(gt=0, le=1, description="side of the middle square that they see, over a frame's short side")
    frame_size: int = Field(ge=32, description="side that this square is brought to, pixels")
    frames: int = Field(
        ge=2, description="every n-th frame of a video is held in memory, with the largest n that leaves so many"
    )
    segments: int = Field(ge=2, description="TSN and TRN: parts of a video, of each one frame")
    flow_fields: int = Field(ge=1, description="TSN: consecutive fields of flow that are stacked; 5 in TSN")
    clip_frames: int = Field(ge=2, description="C3D and R(2+1)D: frames of a clip")
    clip_stride: int = Field(ge=1, description="held frames from one frame of a clip to the next")
    views: int = Field(ge=1, description="sets of frames, or clips, of a video whose scores are averaged at test time")
    c3d_width: int = Field(ge=4, description="channels of the first layer of the small C3D")
    r2plus1d_width: int = Field(ge=4, description="channels of the first layer of the small R(2+1)D")
    dropout: float = Field(ge=0, lt=1, description="share of features dropped before a classifier, in training")
    training: Training = Field(description="on the dives, shared by all")
    pretraining: Training = Field(description="on the corpus of actions: C3D, and the pre-trained R(2+1)D")
    augmentation: Augmentation

    def clip_span(self) -> int:
        """Frames from the first to the last of a clip, both included."""
        return (self.clip_frames - 1) * self.clip_stride + 1

    @model_validator(mode="after")
    def _holds_whole_clips(self) -> "Rivals":
        if self.frames < self.clip_span():
            raise ValueError(f"frames must be at least {self.clip_span()}, the span of clip_frames at clip_stride")
        return self

    @model_validator(mode="after")
    def _sees_whole_squares(self) -> "Rivals":
        if self.augmentation.window is not None or self.augmentation.short_sides:
            raise ValueError("augmentation must have window: null and short_sides: [], the frames are of frame_size")
        return self


class Recognition(Section):
    """Chapter `recognition` (§5.2, §6.3): classes of dives, by our descriptors and by the rivals of Table 4."""

    final: ClusterNetwork
    classifier: Classifier
    scene_frames: int = Field(ge=1, description="frames of a dive that the scene-only control sees")
    rivals: Rivals


class Paper(Section):
    """Chapter `paper`: tables and figures."""

    resamples: int = Field(ge=1, description="bootstrap resamples over videos")
    confidence: float = Field(gt=0, lt=1, description="coverage of every interval")


class Config(Section):
    """The whole of `config/config.yaml`."""

    seed: int = Field(ge=0, description="root of every random stream but those of the trainings")
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        min_length=1, description="every network is trained once with each; tables give the mean over them"
    )
    datasets: Datasets
    pairs: Pairs
    model: Model
    pretrain: Pretrain
    pose: Pose
    tracking: Tracking
    motion: Motion
    actions: Actions
    features: Features
    clusters: Clusters
    recognition: Recognition
    paper: Paper

    @field_validator("seeds")
    @classmethod
    def _differ(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("a seed must not occur twice: two trainings with one seed are the same")
        return seeds

    @model_validator(mode="after")
    def _rivals_start_from_a_backbone_of_their_size(self) -> "Config":
        if self.recognition.rivals.networks == "small" and self.model.backbone != "small":
            raise ValueError(
                "recognition.rivals.networks must be full, for small ones start from a small model.backbone"
            )
        return self

    @model_validator(mode="after")
    def _the_corpus_has_whole_clips(self) -> "Config":
        span = self.recognition.rivals.clip_span()
        if self.datasets.corpus.frames < span:
            raise ValueError(
                f"datasets.corpus.frames must be at least {span}, the span of a clip of recognition.rivals"
            )
        return self

    def runs(self) -> list[str]:
        """What the names of files of each seed's trainings end in: nothing for the first seed, else `-seed<N>`."""
        return ["", *(f"-seed{seed}" for seed in self.seeds[1:])]


def load_config(path: Path) -> Config:
    """Read and check a configuration file.

    Raises ConfigError naming the file and every bad key.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: is not YAML ({error})") from error
    return check_config(raw, path)


def check_config(raw: object, path: Path) -> Config:
    """Check a parsed configuration; `path` is only named in the message."""
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: must be a mapping of sections")
    try:
        return Config.model_validate(raw)
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, item['loc'])) or '(top)'}: {item['msg']}" for item in error.errors()]
        raise ConfigError("\n".join([f"{path}: {len(lines)} bad key(s)", *lines])) from None


def check_initial_weights(config: Config, path: Path) -> None:
    """Raise ConfigError where there are no published weights of the network that the configuration asks them for."""
    initial, model = config.pretrain.initial_weights, config.model
    if initial == "imagenet" and model.backbone == "small":
        raise ConfigError(
            f"{path}: pretrain.initial_weights is imagenet, but of model.backbone small there are none; "
            "take resnet50, resnet101 or stills"
        )
    shape = (model.backbone, model.fpn_channels, model.box_features, model.keypoint_layers)
    if initial == "coco_keypoints" and shape != ("resnet50", 256, 1024, (512,) * 8):
        raise ConfigError(
            f"{path}: pretrain.initial_weights is coco_keypoints, but torchvision has them of resnet50 with "
            "fpn_channels 256, box_features 1024 and eight keypoint_layers of 512 alone; take imagenet or stills"
        )
