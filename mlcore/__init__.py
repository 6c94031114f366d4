"""The science of Ferry: optimal transport and what is built on it. Imports no Django and no Celery."""
