"""What gen.refine writes by default has the mark, at the strength that is meant, in photographs of several sizes."""

from __future__ import annotations

import json

import numpy as np
from PIL import Image

from gen import refine, verify, watermark
from gen.cli import flags


def picture(height: int, width: int, seed: int) -> np.ndarray:
    """Slopes and edges, rough on one side, uint8 [h w 3]."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(40, 216, (6, 8, 3), np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    grain = rng.normal(size=(height, width, 1)) * np.linspace(1, 24, width)[:, None]
    return np.clip(np.asarray(coarse) + grain, 0, 255).astype(np.uint8)


def program(module, *arguments) -> int:
    options = {refine: refine.RefineOptions, verify: verify.VerifyOptions}[module]
    return module.main(flags.parse(["", *map(str, arguments)], options))


def test_refined_photographs_are_marked_as_strongly_as_is_meant(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("GEN_PROVENANCE", raising=False)
    sizes = {"a.png": (256, 256), "b.png": (200, 320), "c.png": (900, 600), "d.png": (256, 384), "e.png": (130, 1200)}
    (tmp_path / "in").mkdir()
    (tmp_path / "key").write_text("a secret of the tests")
    (tmp_path / "key").chmod(0o600)
    for seed, (name, size) in enumerate(sizes.items()):
        Image.fromarray(picture(*size, seed)).save(tmp_path / "in" / name)
    given = (tmp_path / "in", "--chain=invert")
    program(refine, *given, f"--out={tmp_path / 'plain'}", "--provenance=record")
    program(refine, *given, f"--out={tmp_path / 'marked'}", f"--key={tmp_path / 'key'}")
    for name, size in sizes.items():
        plain, marked = (np.asarray(Image.open(tmp_path / kind / name)).astype(float) for kind in ("plain", "marked"))
        psnr = -10 * np.log10(np.mean((marked - plain) ** 2) / 255**2)
        assert watermark.default_psnr(*size) - 0.3 < psnr < 48, name
    capsys.readouterr()
    code = program(verify, tmp_path / "marked", f"--key={tmp_path / 'key'}", "--search=aligned", "--json")
    found = json.loads(capsys.readouterr().out)
    assert code == 0
    assert [(file["origin"], file["mark"]["found"], file["problems"]) for file in found["files"]] == [
        ("marked", True, [])
    ] * len(sizes)


def test_a_large_photograph_of_sixteen_bits_is_marked():
    size = (1500, 2200)
    pixels = picture(*size, 0).astype(np.uint16) * 257
    key = watermark.key(b"a secret of the tests")
    marked = watermark.embed(pixels[None], key, tag=7 << 16)
    psnr = -10 * np.log10(np.mean((marked[0].astype(float) - pixels) ** 2) / 65535**2)
    assert watermark.default_psnr(*size) - 0.3 < psnr < 48
    (found,) = watermark.detect(marked, key)
    assert (found.found, found.tag) == (True, 7 << 16)
