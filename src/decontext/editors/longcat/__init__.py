"""LongCat-Image-Edit: FLUX's blocks and autoencoder, and Qwen2.5-VL, which sees the photo."""
