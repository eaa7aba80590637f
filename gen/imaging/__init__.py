"""Image processing in jnp: filters, colour, segmentation, and chains of them; batched, compiled, differentiable."""
