"""The decoding page: methods side by side on one prompt, as they write."""
