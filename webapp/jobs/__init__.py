"""Pages of long work: jobs, model versions, data sets."""
