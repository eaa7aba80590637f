"""Writes goldens/moments.npz: what pytorch-fid, scipy and torch-fidelity say of features that the tests draw again.

    python tests/metrics/make_goldens_moments.py

Needs torch, scipy<1.18, and `pip install --no-deps pytorch-fid==0.3.0 torch-fidelity==0.4.0 tqdm`.
"""

from __future__ import annotations

import pathlib
import sys
import unittest.mock
import warnings

import numpy as np

PATH = pathlib.Path(__file__).parent / "goldens" / "moments.npz"


def draw(n: int, m: int, d: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features as a ReLU network makes them: not negative, correlated, their variances falling."""
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((d, d)) / np.sqrt(d) * np.geomspace(1, 0.05, d)
    real = np.maximum(rng.standard_normal((m, d)) @ mixing + 0.3, 0)
    generated = np.maximum(1.1 * rng.standard_normal((n, d)) @ mixing + 0.35, 0)
    return generated, real


def main() -> None:
    """Asks the peers."""
    for name in ("", ".transforms", ".transforms.functional", ".models", ".datasets"):
        name = f"torchvision{name}"
        sys.modules.setdefault(name, unittest.mock.MagicMock())  # the peers import it, and do not need it here
    import scipy.linalg
    import torch
    from pytorch_fid.fid_score import calculate_frechet_distance
    from torch_fidelity.metric_kid import kid_features_to_metric

    found = {}
    generated, real = draw(700, 600, 48)
    statistics = [part for x in (generated, real) for part in (x.mean(axis=0), np.cov(x, rowvar=False))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        found["pytorch_fid"] = calculate_frechet_distance(*statistics)
    root = scipy.linalg.sqrtm(statistics[1] @ statistics[3])
    squares = np.sum((statistics[0] - statistics[2]) ** 2) + np.trace(statistics[1]) + np.trace(statistics[3])
    found["sqrtm"] = squares - 2 * np.trace(root).real
    for seed in (0, 2020):
        features = [torch.from_numpy(x) for x in (generated, real)]
        options = {"kid_subsets": 10, "kid_subset_size": 200, "kid_degree": 3, "kid_gamma": None, "kid_coef0": 1}
        result = kid_features_to_metric(*features, **options, rng_seed=seed, verbose=False)
        found[f"kid_{seed}"] = result["kernel_inception_distance_mean"]
    np.savez(PATH, **found)
    print({name: float(value) for name, value in found.items()})


if __name__ == "__main__":
    main()
