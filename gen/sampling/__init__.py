"""Images from a trained model: by seed, conditional on given images, and by walking its latent space."""
