"""One module a subject. A view parses, calls one function of the floor below, and responds."""
