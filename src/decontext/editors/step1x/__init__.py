"""Step1X-Edit's own parts: its connector, its text side, its files and its guided sampling."""
