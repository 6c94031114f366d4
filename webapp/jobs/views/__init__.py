"""Views of jobs, data sets and models."""
