"""The motion offsets themselves (§3): DiMoFs predicted from the difference of two frames' features."""

from torch import Tensor, nn

from dimofs.model.resample import resample


class Offsets(nn.Module):
    """DiMoFs: per scale one 3×3 convolution without bias on f_A − f_B, zero at initialisation (A1, A2, A5).

    Without a bias the offsets are exactly zero where both frames are the same, so δ = 0 needs no special case.
    """

    def __init__(self, channels: int, scales: int = 4) -> None:
        super().__init__()
        self.predictors = nn.ModuleList(
            nn.Conv2d(channels, 2 * channels, 3, padding=1, bias=False) for _ in range(scales)
        )
        for weight in self.predictors.parameters():
            nn.init.zeros_(weight)

    def forward(self, features_a: list[Tensor], features_b: list[Tensor]) -> list[Tensor]:
        """Predict one displacement for every channel and position of Frame A's grid.

        features_a, features_b: per scale (N, C, H, W).
        Returns per scale (N, 2C, H, W): channels (2c, 2c + 1) hold (dy, dx) of feature channel c, in feature pixels of
        that scale, pointing from Frame A to Frame B (A4, A16).
        """
        return [predictor(a - b) for predictor, a, b in zip(self.predictors, features_a, features_b, strict=True)]

    def projections(self, features: list[Tensor]) -> list[Tensor]:
        """Apply the predictors to one frame alone, per scale (N, C, H, W) to (N, 2C, H, W).

        The predictors are linear, so a pair's offsets are the projection of A less that of B, to rounding: where many
        pairs share their frames, the convolutions run once a frame and not once a pair.
        """
        return [predictor(level) for predictor, level in zip(self.predictors, features, strict=True)]


class Resampling(nn.Module):
    """Frame B's features, sampled where the offsets say, then mixed by a learned 1×1 weight (A3).

    The weight starts as the identity, so with zero offsets the features pass unchanged.
    """

    def __init__(self, channels: int, scales: int = 4) -> None:
        super().__init__()
        self.mix = nn.ModuleList(nn.Conv2d(channels, channels, 1, bias=False) for _ in range(scales))
        for weight in self.mix.parameters():
            nn.init.dirac_(weight)

    def forward(self, features_b: list[Tensor], offsets: list[Tensor] | None) -> list[Tensor]:
        """Compute g^(s) from f_B^(s).

        features_b: per scale (N, C, H, W); offsets: per scale (N, 2C, H, W), or None for δ = 0, where they are zero.
        Returns per scale (N, C, H, W).
        """
        sampled = features_b if offsets is None else map(resample, features_b, offsets)
        return [convolution(level) for convolution, level in zip(self.mix, sampled, strict=True)]
