"""The study behind docs/results.md: what protects, against what, and what does not."""
