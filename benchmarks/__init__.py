"""Speed and memory of a step against the original formula, on random weights: `make bench`."""
