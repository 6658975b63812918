import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri

from dimofs import statistics
from dimofs.metrics import FrameMapRules, Ranking, class_ap, count_recognised, envelope_ap, top1, trapezoid_ap
from dimofs.statistics import (
    interval,
    over_seeds,
    resample_weights,
    resampled_class_ap,
    resampled_envelope_ap,
    resampled_top1,
    resampled_trapezoid_ap,
)

RULES = [
    FrameMapRules(envelope=envelope, absent_class_is_zero=zero) for envelope in (False, True) for zero in (False, True)
]
AREAS = [(envelope_ap, resampled_envelope_ap), (trapezoid_ap, resampled_trapezoid_ap)]


def repeated(ranking, weights):
    """The ranking of a test set in which each video stands as often as its weight says."""
    times = np.asarray(weights, int)
    return Ranking(
        np.repeat(ranking.correct, times[ranking.video]),
        np.repeat(ranking.video, times[ranking.video]),
        ranking.positives * times,
    )


@st.composite
def rankings(draw, largest=25):
    size, videos = draw(st.integers(0, largest)), draw(st.integers(1, 4))
    correct = np.array(draw(st.lists(st.booleans(), min_size=size, max_size=size)), bool)
    video = np.array(draw(st.lists(st.integers(0, videos - 1), min_size=size, max_size=size)), np.int64)
    missed = np.array(draw(st.lists(st.integers(0, 3), min_size=videos, max_size=videos)))
    return Ranking(correct, video, missed + np.bincount(video[correct], minlength=videos))


def large_ranking(videos=24, size=2000, seed=0):
    random = np.random.default_rng(seed)
    correct = random.random(size) < np.linspace(0.95, 0.1, size)
    video = random.integers(0, videos, size)
    return Ranking(correct, video, np.bincount(video[correct], minlength=videos) + 3)


class TestWeights:
    def test_every_resample_draws_as_many_videos_as_there_are(self):
        weights = resample_weights(24, 500, seed=0)
        assert weights.shape == (500, 24)
        assert (weights.sum(axis=1) == 24).all()
        assert (weights == weights.round()).all()

    def test_every_video_is_drawn_equally_often(self):
        mean = resample_weights(5, 20_000, seed=1).mean(axis=0)
        np.testing.assert_allclose(mean, 1, atol=0.03)  # four standard errors

    def test_the_seed_decides(self):
        np.testing.assert_array_equal(resample_weights(9, 50, 3), resample_weights(9, 50, 3))
        assert (resample_weights(9, 50, 3) != resample_weights(9, 50, 4)).any()


class TestInterval:
    def test_by_hand(self):
        low, high = interval(50.0, np.arange(101.0), 0.9)
        assert (float(low), float(high)) == pytest.approx((5, 95))

    def test_columns_are_separate(self):
        samples = np.stack([np.arange(101.0), 10 * np.arange(101.0)], axis=-1)
        low, high = interval(np.array([50.0, 500]), samples, 0.8)
        assert low.tolist() == pytest.approx([10, 100])
        assert high.tolist() == pytest.approx([90, 900])

    def test_resamples_without_the_value_are_left_out(self):
        samples = np.stack([np.append(np.arange(101.0), [np.nan] * 30), np.full(131, np.nan)], axis=-1)
        low, high = interval(np.array([50.0, np.nan]), samples, 0.9)
        assert (low[0], high[0]) == pytest.approx((5, 95))
        assert np.isnan(low[1])
        assert np.isnan(high[1])

    def test_a_value_at_the_edge_of_its_resamples_moves_the_interval_there(self):
        """Of a value at the 16th percentile, one deviation below the median, the whole interval moves by two."""
        random = np.random.default_rng(0)
        samples = random.normal(0, 1, 200_000)
        low, high = interval(-1.0, samples, 0.95)
        assert (low, high) == pytest.approx((-1.96 - 2, 1.96 - 2), abs=0.1)
        assert interval(3.0, np.full(50, 3.0), 0.95) == (3, 3)

    @given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30), st.floats(-2e3, 2e3), st.floats(0.5, 0.99))
    def test_holds_its_value(self, samples, value, confidence):
        low, high = interval(value, np.array(samples), confidence)
        assert low <= value <= high

    def test_reaches_from_a_value_beyond_its_resamples_to_the_nearest_of_them(self):
        """How many of ten kinds there are in a sample: a resample has fewer, never more."""
        low, high = interval(10.0, np.repeat([7.0, 8, 9], 100), 0.95)
        assert (low, high) == (9, 10)

    def test_covers_the_truth_about_as_often_as_it_says(self):
        """Means of 40 videos from a known law: the 90 % interval holds the true mean in nine of ten repetitions."""
        random = np.random.default_rng(0)
        weights = resample_weights(40, 500, seed=0) / 40
        held = 0
        for _ in range(400):
            sample = random.exponential(1, 40)
            low, high = interval(sample.mean(), weights @ sample, 0.9)
            held += low <= 1 <= high
        assert 0.84 <= held / 400 <= 0.94


class TestOverSeeds:
    def samples(self, seeds, resamples=400, columns=(3,)):
        return np.random.default_rng(7).normal(50, 5, (seeds, resamples, *columns))

    @pytest.mark.parametrize("columns", [(), (3,), (2, 4)])
    def test_one_seed_is_its_own_value_and_interval(self, columns):
        samples = self.samples(1, columns=columns)
        mean, low, high, sd = over_seeds(samples[:, 0], samples, 0.9, seed=0)
        np.testing.assert_array_equal(mean, samples[0, 0])
        np.testing.assert_array_equal([low, high], interval(samples[0, 0], samples[0], 0.9))
        assert np.shape(sd) == columns
        assert np.isnan(sd).all()

    def test_equal_seeds_are_as_one_that_does_not_spread(self):
        one = self.samples(1)
        twice = np.concatenate([one, one])
        mean, low, high, sd = over_seeds(twice[:, 0], twice, 0.9, seed=0)
        np.testing.assert_array_equal([mean, low, high], over_seeds(one[:, 0], one, 0.9, seed=0)[:3])
        np.testing.assert_array_equal(sd, 0)

    def test_mean_and_spread_by_hand(self):
        values = np.array([[1.0, 10], [2, 10], [6, 40]])
        mean, _, _, sd = over_seeds(values, np.repeat(values[:, None], 9, axis=1), 0.9, seed=0)
        assert mean.tolist() == [3, 20]
        assert sd.tolist() == pytest.approx([7**0.5, 300**0.5])

    def test_seeds_alone_spread_the_interval_as_draws_with_replacement(self):
        """Two seeds, 0 and 1, whatever the videos: both draws are of the same one in half of the resamples."""
        samples = np.repeat([[0.0], [1.0]], 20_000, axis=1)
        for confidence, bounds in ((0.6, (0, 1)), (0.4, (0.5, 0.5))):
            _, low, high, _ = over_seeds(samples[:, 0], samples, confidence, seed=0)
            assert (low, high) == bounds

    @given(seed=st.integers(0, 99))
    def test_every_method_gets_the_same_draw(self, seed):
        """Of one resample, below the value, the interval begins at that: of a difference, at the difference."""
        first, second = self.samples(3, resamples=1), self.samples(6, resamples=1)[3:]
        (a, b, gain) = (over_seeds(part[:, 0] + 1e3, part, 0.9, seed)[1] for part in (first, second, first - second))
        np.testing.assert_allclose(a - b, gain, rtol=1e-12)

    def test_the_draw_of_seeds_knows_nothing_of_the_draw_of_videos(self):
        """Product of the drawn mean of seeds 0 and 1 and of how often a video of two is drawn: 2 in one of sixteen."""
        often = resample_weights(2, 20_000, seed=0)[:, 0]
        samples = np.stack([0 * often, often])
        # A value between 0 and 1/2 has 7/16 of the products below it, for which the percentiles make up.
        confidences = [2 * ndtr(ndtri(1 - tail) - 2 * ndtri(7 / 16)) - 1 for tail in (1 / 14, 1 / 18)]
        highs = [over_seeds(np.full(2, 0.25), samples, confidence, seed=0)[2] for confidence in confidences]
        assert highs == [1, 2]

    def test_a_resample_without_a_value_is_left_out(self):
        samples = np.stack([np.full(50, np.nan), np.ones(50)])
        mean, low, high, _ = over_seeds(np.ones(2), samples, 0.9, seed=0)
        assert (mean, low, high) == (1, 1, 1)


@pytest.mark.parametrize(("plain", "resampled"), AREAS)
class TestResampledAreas:
    @given(ranking=rankings())
    def test_weights_of_one_give_the_plain_value(self, plain, resampled, ranking):
        weights = np.ones((2, len(ranking.positives)))
        np.testing.assert_allclose(resampled(ranking, weights), [plain(ranking)] * 2, atol=1e-9)

    @given(ranking=rankings(), data=st.data())
    def test_weights_equal_repeated_videos(self, plain, resampled, ranking, data):
        videos = len(ranking.positives)
        rows = data.draw(
            st.lists(st.lists(st.integers(0, 4), min_size=videos, max_size=videos), min_size=1, max_size=4)
        )
        expected = [plain(repeated(ranking, row)) for row in rows]
        np.testing.assert_allclose(resampled(ranking, np.array(rows, float)), expected, atol=1e-9)

    def test_equals_the_resampled_test_set_at_full_size(self, plain, resampled):
        ranking, weights = large_ranking(), resample_weights(24, 40, seed=0)
        expected = [plain(repeated(ranking, row)) for row in weights]
        np.testing.assert_allclose(resampled(ranking, weights), expected, atol=1e-9)

    def test_many_resamples_equal_each_alone(self, plain, resampled, monkeypatch):
        ranking, weights = large_ranking(), resample_weights(24, 300, seed=0)
        together = resampled(ranking, weights)
        monkeypatch.setattr(statistics, "_CELLS", 1)
        np.testing.assert_allclose(resampled(ranking, weights), together, rtol=1e-12)

    def test_differences_of_paired_resamples_vary_less_than_of_unpaired_ones(self, plain, resampled):
        """Some videos are hard for both methods; drawn for both at once they cancel in the difference."""
        random = np.random.default_rng(0)
        video = random.integers(0, 24, 2000)
        chance = np.linspace(0.2, 0.9, 24)[video]
        worse, better = (Ranking(random.random(2000) < chance + gain, video, np.full(24, 90)) for gain in (0, 0.05))
        here, elsewhere = resample_weights(24, 400, seed=0), resample_weights(24, 400, seed=1)
        paired = resampled(better, here) - resampled(worse, here)
        unpaired = resampled(better, here) - resampled(worse, elsewhere)
        assert paired.mean() > 0
        assert paired.std() < 0.5 * unpaired.std()

    def test_no_detection_at_all(self, plain, resampled):
        nothing = Ranking(np.zeros(0, bool), np.zeros(0, np.int64), np.array([2, 1]))
        assert resampled(nothing, np.array([[1.0, 1.0], [2.0, 0.0]])).tolist() == [0, 0]

    def test_no_correct_detection(self, plain, resampled):
        wrong = Ranking(np.zeros(3, bool), np.array([0, 1, 1]), np.array([2, 1]))
        assert resampled(wrong, np.array([[1.0, 1.0], [2.0, 0.0]])).tolist() == [0, 0]


class TestVanishing:
    """The rule of the plain value holds in a resample that drew no video with an annotation."""

    ranking = Ranking(np.array([True, False]), np.array([0, 1]), np.array([1, 0, 0]))
    weights = np.array([[3.0, 0, 0], [0, 3, 0], [0, 0, 3]])  # both videos with detections, one, none

    def test_envelope(self):
        np.testing.assert_array_equal(resampled_envelope_ap(self.ranking, self.weights), [100, np.nan, 0])

    def test_trapezoid(self):
        np.testing.assert_array_equal(resampled_trapezoid_ap(self.ranking, self.weights), [100, np.nan, np.nan])


def test_the_interval_of_an_average_precision_narrows_with_more_videos():
    widths = []
    for videos in (6, 24, 96):
        ranking = large_ranking(videos, size=100 * videos)
        low, high = interval(
            envelope_ap(ranking), resampled_envelope_ap(ranking, resample_weights(videos, 400, 0)), 0.95
        )
        assert low <= envelope_ap(ranking) <= high
        widths.append(high - low)
    assert widths[0] > widths[1] > widths[2]


@pytest.mark.parametrize("rules", RULES, ids=str)
@given(ranking=rankings(), seed=st.integers(0, 99))
def test_a_resampled_class_is_the_class_of_the_resampled_test_set(rules, ranking, seed):
    weights = resample_weights(len(ranking.positives), 5, seed)
    expected = [class_ap(repeated(ranking, row), rules) for row in weights]
    np.testing.assert_allclose(resampled_class_ap(ranking, weights, rules), expected, atol=1e-9)


@given(data=st.data(), size=st.integers(1, 20), seed=st.integers(0, 99))
def test_resampled_top1_is_that_of_the_resampled_test_set(data, size, seed):
    def some(most):
        return np.array(data.draw(st.lists(st.integers(0, most), min_size=size, max_size=size)))

    predicted, label, group = some(3), some(3), some(4)
    recognised = count_recognised(predicted, label, group, 4)
    weights = resample_weights(len(recognised.total), 5, seed)
    for row, found in zip(weights, resampled_top1(recognised, weights), strict=True):
        again = np.repeat(np.arange(size), row[group].astype(int))
        counts = count_recognised(predicted[again], label[again], np.zeros(len(again)), 4)
        np.testing.assert_allclose(found, top1(counts.correct.sum(axis=0), counts.total.sum(axis=0)))


def test_the_interval_of_top1_covers_what_was_measured():
    random = np.random.default_rng(0)
    label = random.integers(0, 4, 400)
    predicted = np.where(random.random(400) < 0.6, label, random.integers(0, 4, 400))
    recognised = count_recognised(predicted, label, np.arange(400) // 4, 4)
    value = top1(recognised.correct.sum(axis=0), recognised.total.sum(axis=0))
    low, high = interval(value, resampled_top1(recognised, resample_weights(100, 2000, 0)), 0.95)
    assert ((low < value) & (value < high)).all()
    # 400 dives at 70 %: the standard error is 2.3 points
    assert high[0] - low[0] == pytest.approx(2 * 1.96 * 2.3, rel=0.2)
