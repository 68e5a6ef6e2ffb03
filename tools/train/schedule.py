"""gamma(t): a piecewise-linear table that follows where the loss falls."""

import numpy as np

LOW, HIGH = -1.5, 8.5
KNOTS = 33
BINS = 50


class Warp:
    """A running loss per gamma bin, and the table drawn from it."""

    def __init__(self) -> None:
        self.loss = np.zeros(BINS)
        self.weight = np.zeros(BINS)
        self.gamma = np.linspace(LOW, HIGH, KNOTS)

    def at(self, t: np.ndarray) -> np.ndarray:
        """gamma(t)."""
        return np.interp(t, np.linspace(0.0, 1.0, KNOTS), self.gamma)

    def record(self, gamma: np.ndarray, loss: np.ndarray, decay: float = 0.995) -> None:
        """Adds one loss per sequence."""
        self.loss *= decay
        self.weight *= decay
        index = np.clip(((gamma - LOW) / (HIGH - LOW) * BINS).astype(int), 0, BINS - 1)
        np.add.at(self.loss, index, loss)
        np.add.at(self.weight, index, 1.0)

    def curve(self) -> np.ndarray:
        """Smoothed, non-decreasing loss per bin."""
        seen = self.weight > 0.05
        if seen.sum() < 2:
            return np.zeros(BINS)
        position = np.arange(BINS)
        mean = np.interp(position, position[seen], self.loss[seen] / self.weight[seen])
        kernel = np.array([1.0, 2.0, 3.0, 2.0, 1.0]) / 9.0
        smooth = np.convolve(np.pad(mean, 2, mode="edge"), kernel, mode="valid")
        return monotone(smooth, np.maximum(self.weight, 0.05))

    def update(self, uniform: float = 0.2) -> None:
        """Makes the sampling density the slope of the curve, with a uniform share."""
        curve = self.curve()
        slope = np.maximum(np.gradient(curve), 0.0)
        even = np.full(BINS, 1.0 / BINS)
        density = (1 - uniform) * slope / slope.sum() + uniform * even if slope.sum() > 0 else even
        cdf = np.concatenate([[0.0], np.cumsum(density)])
        gamma = np.interp(np.linspace(0.0, 1.0, KNOTS), cdf / cdf[-1], np.linspace(LOW, HIGH, BINS + 1))
        gamma[0], gamma[-1] = LOW, HIGH
        if not (np.diff(gamma) > 1e-6).all():
            raise RuntimeError("the gamma table is not strictly increasing")
        self.gamma = gamma

    def state(self) -> dict[str, list[float]]:
        """For a checkpoint."""
        return {name: getattr(self, name).tolist() for name in ("loss", "weight", "gamma")}

    def restore(self, state: dict[str, list[float]]) -> None:
        """From a checkpoint."""
        for name, value in state.items():
            setattr(self, name, np.array(value))


def monotone(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The closest non-decreasing sequence (pool adjacent violators)."""
    blocks: list[list[float]] = []
    for value, weight in zip(values, weights, strict=True):
        blocks.append([float(value), float(weight), 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            v, w, n = blocks.pop()
            last = blocks[-1]
            last[0] = (last[0] * last[1] + v * w) / (last[1] + w)
            last[1] += w
            last[2] += n
    return np.concatenate([np.full(int(n), v) for v, _, n in blocks])
