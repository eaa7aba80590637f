"""Latent spaces: images to the latents that a trained model makes them from, and back, whatever its family."""

from gen.spaces.families import Space, of_run
from gen.spaces.files import Files, names_of
from gen.spaces.latents import Codes, read, write
from gen.spaces.paths import Directions, interpolation, moved

__all__ = ["Codes", "Directions", "Files", "Space", "interpolation", "moved", "names_of", "of_run", "read", "write"]
