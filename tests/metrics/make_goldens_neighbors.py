"""Write goldens/prdc.npz: what prdc 0.2 computes, the program of the authors of density and coverage.

pip install prdc && python tests/metrics/make_goldens_neighbors.py
"""

import pathlib

import numpy as np
from prdc import compute_prdc

NAMES = ("precision", "recall", "density", "coverage")


def main():
    rng = np.random.default_rng(0)
    real = rng.normal(size=(150, 6))
    near = rng.normal(size=(120, 6)) * 0.7 + 0.3
    modes = np.concatenate([real[:60] + rng.normal(size=(60, 6)) * 0.05, rng.normal(size=(60, 6)) * 3])
    stored = {"real": real.astype(np.float32)}
    for name, generated in (("near", near), ("modes", modes)):
        stored[name] = generated.astype(np.float32)
        for k in (3, 5):
            values = compute_prdc(stored["real"].astype(np.float64), stored[name].astype(np.float64), nearest_k=k)
            stored[f"{name}_{k}"] = np.array([values[key] for key in NAMES])
    np.savez_compressed(pathlib.Path(__file__).parent / "goldens" / "prdc.npz", **stored)


if __name__ == "__main__":
    main()
