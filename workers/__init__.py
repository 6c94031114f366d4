"""Jobs, models, libraries and the inference door: the one way from the web to the science."""
