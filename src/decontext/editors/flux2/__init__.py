"""FLUX.2, klein and dev: four position axes, a normalised autoencoder, one text encoder."""
