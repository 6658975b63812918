"""Paired bootstrap over videos, exact and quick: each resample's AP is the AP of the resampled test set.

Frames of one video are near-copies of each other, so the unit that is drawn with replacement is the video. A resample
is a row of `resample_weights`: how often each video was drawn. All methods, δ and joints share the rows, so the
difference of two methods' samples is a paired sample of their difference.

Detections are judged inside their own frame and ranked by score; drawing a video twice changes neither, it only counts
its detections and annotations twice. So the matching and the sorting of `dimofs.metrics` are done once, and a resample
is a weighted count along the ranking. A ranking is a sequence of runs of correct detections with wrong ones between.
Inside a run precision only rises and every detection gains the same recall, so all that an area needs are the weighted
counts at the ends of runs: (counts per run and video) · (weights), one sparse product for many resamples.

Where networks were trained with several seeds, a resample draws seeds as well as videos: `over_seeds`.
"""

from collections.abc import Callable, Iterator

import numpy as np
from scipy import sparse
from scipy.special import ndtr, ndtri

from dimofs.metrics import ACT, POSEVAL, Floats, FrameMapRules, PoseRules, Ranking, Recognised, top1

_CELLS = 2**16  # runs × resamples at a time, so that the arrays stay in the cache


def resample_weights(videos: int, resamples: int, seed: int) -> Floats:
    """How often each video is drawn in each resample, (resamples, videos), integers; every row sums to `videos`."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(videos, np.full(videos, 1 / videos), size=resamples).astype(np.float64)


def interval(values: Floats | float, samples: Floats, confidence: float) -> tuple[Floats, Floats]:
    """Bias-corrected percentile interval (Efron 1981) of values (…) from their resamples (R, …): (low, high), each (…).

    Rankings look better in a resample than in the test set that it is drawn of, for what is drawn twice agrees with
    itself. So the percentiles taken lie as far to one side as the value itself lies among its resamples; where it is
    their median, they are the central ones. Where it lies so far out that the percentiles jump over it, as a count of
    kinds does that nearly every resample has fewer of, the interval is widened to it. A resample in which the value
    does not exist (NaN) is left out; without any, or without the value, the interval is NaN.
    """
    tail, values = ndtri((1 - confidence) / 2), np.asarray(values)
    bounds = np.full((2, *samples.shape[1:]), np.nan)
    for cell in np.ndindex(samples.shape[1:]):
        column = samples[(slice(None), *cell)]
        defined = column[~np.isnan(column)]
        if len(defined):
            below = (np.mean(defined < values[cell]) + np.mean(defined <= values[cell])) / 2
            bias = ndtri(np.clip(below, 0.5 / len(defined), 1 - 0.5 / len(defined)))
            bounds[(slice(None), *cell)] = np.quantile(defined, ndtr(2 * bias + np.array([tail, -tail])))
    return np.minimum(bounds[0], values), np.maximum(bounds[1], values)


def over_seeds(values: Floats, samples: Floats, confidence: float, seed: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Mean over the seeds of the trainings, its interval and the seeds' standard deviation, each (…).

    values (S, …): a value for each seed. samples (S, R, …): its resamples, by the same videos for every seed. A
    resample of the mean draws S seeds with replacement. The draw depends on S, R and `seed` alone, so that all methods
    share it; a paired difference is one of values and samples, seed by seed. The standard deviation divides by S − 1;
    of one seed it is NaN, and the interval that of its own samples.
    """
    seeds, resamples = samples.shape[:2]
    generator = np.random.default_rng(seed).spawn(1)[0]  # resample_weights draws videos from its parent
    drawn = generator.integers(seeds, size=(seeds, resamples))
    mean = values.mean(axis=0)
    low, high = interval(mean, samples[drawn, np.arange(resamples)].mean(axis=0), confidence)
    spread = values.std(axis=0, ddof=1) if seeds > 1 else values[0] * np.nan
    return mean, low, high, spread


def resampled_envelope_ap(ranking: Ranking, weights: Floats, rules: PoseRules = POSEVAL) -> Floats:
    """`metrics.envelope_ap` of every resample (R, V), shape (R,), by the same rule for joints without annotations.

    With F found and N seen at the ends of the runs, the envelope at a run is the largest F/N from there on (between
    ends precision is never larger), and the area gains the run's weight times the envelope.
    """

    def area(gained: Floats, passed: Floats) -> Floats:
        precision = gained.cumsum(axis=0) / np.maximum(passed.cumsum(axis=0), 1)
        envelope = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
        return (gained * envelope).sum(axis=0)

    predicted = weights @ np.bincount(ranking.video, minlength=weights.shape[1])
    absent = 0.0 if rules.absent_joint_has_zero_ap else np.nan
    return _percent(ranking, weights, area, without_positives=np.where(predicted > 0, np.nan, absent))


def resampled_trapezoid_ap(ranking: Ranking, weights: Floats) -> Floats:
    """`metrics.trapezoid_ap` of every resample (R, V), shape (R,); NaN where the class is in none of the drawn videos.

    Along a run of w correct detections that starts after n seen, f of them wrong, the precisions are 1 − f/(n + 1), …,
    1 − f/(n + w). Their trapezoids sum to w − f·(H(n + w) − H(n)) − (f/n − f/(n + w))/2, H the harmonic numbers: a
    detection counted twice is two steps of the curve, as if its video were there twice. At n = 0 precision is 1.
    """
    largest = int((weights @ np.bincount(ranking.video, minlength=weights.shape[1])).max(initial=0))
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, largest + 1))])

    def area(gained: Floats, passed: Floats) -> Floats:
        seen = passed.cumsum(axis=0)
        wrong, before = seen - gained.cumsum(axis=0), seen - gained
        steps = harmonic[seen.astype(np.intp)] - harmonic[before.astype(np.intp)]
        rise = wrong / np.maximum(before, 1) - wrong / np.maximum(seen, 1)
        return (gained - wrong * steps - rise / 2).sum(axis=0)

    return _percent(ranking, weights, area, without_positives=np.full(len(weights), np.nan))


def resampled_class_ap(ranking: Ranking, weights: Floats, rules: FrameMapRules = ACT) -> Floats:
    """`metrics.class_ap` of every resample (R, V), shape (R,), by the same rule for classes without annotations."""
    if rules.envelope:
        ap = resampled_envelope_ap(ranking, weights, PoseRules(absent_joint_has_zero_ap=False))
    else:
        ap = resampled_trapezoid_ap(ranking, weights)
    return np.nan_to_num(ap) if rules.absent_class_is_zero else ap


def resampled_top1(recognised: Recognised, weights: Floats) -> Floats:
    """`metrics.top1` of every resample (R, V), shape (R, 2 + C); a class that was not drawn leaves its mean."""
    columns = np.ascontiguousarray(weights.T)
    counts = (recognised.correct, recognised.total)
    return top1(*(np.asarray(sparse.csr_array(part.T) @ columns).T for part in counts))


def _percent(
    ranking: Ranking, weights: Floats, area: Callable[[Floats, Floats], Floats], without_positives: Floats
) -> Floats:
    positives = weights @ ranking.positives
    total = np.concatenate([area(gained, passed) for gained, passed in _counts_of_runs(ranking, weights)])
    return np.where(positives > 0, 100 * total / np.maximum(positives, 1), without_positives)


def _counts_of_runs(ranking: Ranking, weights: Floats) -> Iterator[tuple[Floats, Floats]]:
    """Weighted number of correct detections in each run, and of all detections since the run before, (K, chunk) both.

    Detections after the last correct one change no area. A sparse product, because a run holds few detections and
    because the library behind `@` would start as many threads as there are cores, whatever `--cores` says.
    """
    last_of_run = ranking.correct & ~np.append(ranking.correct[1:], False)
    ends = np.flatnonzero(last_of_run)
    length = ends[-1] + 1 if len(ends) else 0
    correct, video = ranking.correct[:length], ranking.video[:length]
    run = np.searchsorted(ends, np.arange(length))
    shape = (len(ends), weights.shape[1])
    gained = sparse.csr_array((np.ones(correct.sum()), (run[correct], video[correct])), shape=shape)
    passed = sparse.csr_array((np.ones(length), (run, video)), shape=shape)
    chunk = max(1, _CELLS // max(1, len(ends)))
    for start in range(0, len(weights), chunk):
        columns = np.ascontiguousarray(weights[start : start + chunk].T)
        yield gained @ columns, passed @ columns
