"""How the weights of large models are found, held, quantised and streamed, and what that takes."""
