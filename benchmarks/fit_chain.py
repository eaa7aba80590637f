"""Can a chain be learned? Recovers the strengths of a hidden grade from pictures before and after it.

    python benchmarks/fit_chain.py            # 16 pictures, 400 steps of Adam
    python benchmarks/fit_chain.py --smoke    # two steps, no claim

The pictures are those of gen.data.shapes, so that nothing is needed but gen; a share of them is held out. The fit
starts where the chain changes nothing. Prints each strength, hidden and found, and what is left of the difference on
the held-out pictures (PSNR), for grades drawn with --seeds; exits with 1 if a strength is off by more than --tolerance.
"""

from __future__ import annotations

import argparse
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gen.data import shapes
from gen.imaging.chain import Chain, chain

# Start values change nothing; each strength is drawn from its range.
TEXT = "exposure(0.0)|gamma(1.0)|saturation(1.0)|vibrance(0.0)|temperature(0.0)|unsharp_mask(1.0, 0.0)"
RANGES = {
    "exposure.stops": (-0.5, 0.5),
    "gamma.exponent": (0.8, 1.25),
    "saturation.factor": (0.7, 1.4),
    "vibrance.amount": (-0.3, 0.3),
    "temperature.amount": (-0.4, 0.4),
    "unsharp_mask.amount": (0.1, 0.8),
}


def psnr(a: jax.Array, b: jax.Array) -> float:
    """Peak signal to noise ratio of images in [0, 1], in dB."""
    return float(-10 * jnp.log10(jnp.mean(jnp.square(a - b)) + 1e-12))


def fit(post: Chain, before: jax.Array, after: jax.Array, *, steps: int) -> dict[str, float]:
    """The strengths with which `post` makes `after` of `before` [b h w c], by Adam on the mean squared error."""
    optimizer = optax.adam(optax.cosine_decay_schedule(0.05, steps))
    strengths = {name: jnp.float32(post.strengths[name]) for name in RANGES}
    state = optimizer.init(strengths)

    @jax.jit
    def update(strengths, state):
        loss = lambda s: jnp.mean(jnp.square(post(before, strengths=s) - after))  # noqa: E731
        updates, state = optimizer.update(jax.grad(loss)(strengths), state)
        return optax.apply_updates(strengths, updates), state

    for _ in range(steps):
        strengths, state = update(strengths, state)
    return {name: float(value) for name, value in strengths.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=3, help="how many hidden grades")
    parser.add_argument("--tolerance", type=float, default=0.02)
    parser.add_argument("--smoke", action="store_true")
    given = parser.parse_args()
    if given.smoke:
        given.steps, given.seeds, given.tolerance = 2, 1, np.inf
    images = shapes(resolution=48, num_train=16, num_held_out=16)
    before, held_out = (jnp.asarray(part.images[:16] / np.float32(255)) for part in (images.train, images.held_out))
    post, worst = chain(TEXT), 0.0
    print(f"{'seed':>4}  {'strength':20} {'hidden':>8} {'found':>8}")
    for seed in range(given.seeds):
        draw = np.random.default_rng(seed)
        hidden = {name: float(draw.uniform(*ends)) for name, ends in RANGES.items()}
        start = time.monotonic()
        found = fit(post, before, post(before, strengths=hidden), steps=given.steps)
        for name, value in hidden.items():
            print(f"{seed:4}  {name:20} {value:8.3f} {found[name]:8.3f}")
            worst = max(worst, abs(value - found[name]))
        wanted = post(held_out, strengths=hidden)
        plain, fitted = psnr(held_out, wanted), psnr(post(held_out, strengths=found), wanted)
        print(f"      held out: {plain:.1f} dB before, {fitted:.1f} dB after the fit; {time.monotonic() - start:.0f} s")
        print(f"      {post.with_strengths({name: round(value, 3) for name, value in found.items()})}")
    print(f"largest error of a strength: {worst:.4f} (allowed {given.tolerance})")
    sys.exit(worst > given.tolerance)


if __name__ == "__main__":
    main()
