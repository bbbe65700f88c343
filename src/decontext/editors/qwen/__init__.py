"""Qwen-Image-Edit in its versions: 60 double blocks, and Qwen2.5-VL, which sees the pictures."""
