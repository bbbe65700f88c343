"""What editors of diffusers share whose attention goes over text, target and pictures together."""
