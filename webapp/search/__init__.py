"""The pages: search, molecules, libraries, lists, basket, help. They call ``workers`` and nothing below it."""
