"""Accounts: log-in, log-out, API tokens, roles."""
