"""Celery's tasks, and for each kind of job the function that does it."""
