"""How much of a change is seen: the distance that is made small, scores, words and pictures."""
