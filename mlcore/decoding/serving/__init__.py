"""Requests for decoding, carried out as events in JSON: what page, API and command line share."""
