"""A file and its pixels: reading, colour, EXIF data, resizing, and saving whole or not at all.

First and last station on the way of the data. `images` is the way in.
"""
