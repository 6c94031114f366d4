"""The page of the transport laboratory: state in the address, pictures drawn on the server, everything also as code."""
