"""The REST interface, /api/v1/: what a page can do, the API can do."""
