"""The web: pages, REST interface, admin and accounts. Calls the workers floor and nothing below it."""
