"""What editors built on FLUX's transformer and autoencoder share. `engine` is the way in."""
