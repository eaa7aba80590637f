"""Latent spaces: images to the latents that a trained model makes them from, and back, whatever its family."""

from gen.sampling.latent_space.adapters import Space, of_run
from gen.sampling.latent_space.codes import Latents, read, write
from gen.sampling.latent_space.directions import Directions, interpolation, moved
from gen.sampling.latent_space.outputs import Files, names_of

__all__ = ["Directions", "Files", "Latents", "Space", "interpolation", "moved", "names_of", "of_run", "read", "write"]
