"""Language models that see the photo with the instruction, and what editors share of it."""
