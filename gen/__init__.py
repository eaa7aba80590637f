"""gen: generative models of images in JAX and Flax, trained by one loop, sampled reproducibly, refined and signed."""

__version__ = "0.1.0"
