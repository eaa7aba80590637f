"""Image processing in jnp: filters, color, segmentation, and chains of them; batched, compiled, differentiable."""
