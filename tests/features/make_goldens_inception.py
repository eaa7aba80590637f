"""Makes goldens/inception.npz and the two goldens/state_*.pth; needs torch, torchvision and torch-fidelity.

python tests/features/make_goldens_inception.py
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections import OrderedDict
from pathlib import Path

import numpy as np

GOLDENS = Path(__file__).parent / "goldens"
TAPS = ("64", "192", "768", "2048", "logits_unbiased", "logits")
PIXELS = (slice(None), slice(None, None, 13), slice(None, None, 7))  # of the resized pictures


def torch_fidelity(weights: dict[str, np.ndarray], images: np.ndarray) -> dict[str, np.ndarray]:
    """What torch-fidelity makes of uint8 [n h w 3] with these weights: its taps, and "resized" [n 299 299 3]."""
    import torch

    if not hasattr(torch.ops.torchvision, "nms") and importlib.util.find_spec("torchvision"):
        # torchvision built for CUDA cannot be imported beside torch for CPUs until its operators are declared.
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        globals()["_library"] = library  # declared for as long as it lives
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "weights.pth")
        torch.save({name: torch.from_numpy(array) for name, array in weights.items()}, path)
        network = FeatureExtractorInceptionV3("random", list(TAPS), feature_extractor_weights_path=path)
    x = torch.from_numpy(np.moveaxis(images, -1, 1).copy())
    resized = interpolate_bilinear_2d_like_tensorflow1x(x.float(), size=(299, 299), align_corners=False)
    taps = dict(zip(TAPS, (tap.numpy() for tap in network(x)), strict=True))
    return {**taps, "resized": np.moveaxis(resized.numpy(), 1, -1)}


def state_dict():
    """A small state dict with everything that a real one may have."""
    import torch

    flat = torch.arange(12, dtype=torch.float32) / 7
    state = OrderedDict()
    state["plain.weight"] = flat.reshape(3, 4)
    state["plain.tied"] = flat[4:8]
    state["plain.transposed"] = flat.reshape(3, 4).T
    state["parameter"] = torch.nn.Parameter(torch.tensor([1.5, -2.5]))
    state["half"] = torch.tensor([[0.1, 65504.0]], dtype=torch.float16)
    state["brain"] = torch.tensor([0.1, -3e38], dtype=torch.bfloat16)
    state["double"] = torch.tensor([1 / 3], dtype=torch.float64)
    state["bn.num_batches_tracked"] = torch.tensor(2**40)
    state["int"] = torch.tensor([-5], dtype=torch.int32)
    state["mask"] = torch.tensor([True, False])
    state["byte"] = torch.tensor([255, 0], dtype=torch.uint8)
    state["empty"] = torch.zeros(0, 3)
    state._metadata = OrderedDict([("", {"version": 1})])  # as Module.state_dict() leaves it
    return state


def as_numpy(tensor) -> np.ndarray:
    return (tensor.float() if tensor.is_floating_point() else tensor).detach().numpy()


if __name__ == "__main__":
    import random_inception
    import torch

    images = random_inception.images()
    made = {"images": images, **torch_fidelity(random_inception.weights(), images)}
    made["resized"] = made["resized"][PIXELS]
    rng = np.random.default_rng(1)
    large = rng.integers(0, 256, (1, 331, 600, 3), np.uint8)  # made smaller: not averaged
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

    x = torch.from_numpy(np.moveaxis(large, -1, 1).copy()).float()
    smaller = interpolate_bilinear_2d_like_tensorflow1x(x, size=(299, 299), align_corners=False)
    made["smaller"] = np.moveaxis(smaller.numpy(), 1, -1)[PIXELS]
    np.savez_compressed(GOLDENS / "inception.npz", **made)

    torch.save(state_dict(), GOLDENS / "state_zip.pth")
    torch.save(state_dict(), GOLDENS / "state_stream.pth", _use_new_zipfile_serialization=False)
    np.savez_compressed(GOLDENS / "state.npz", **{name: as_numpy(tensor) for name, tensor in state_dict().items()})
