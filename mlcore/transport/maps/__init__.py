"""Maps between clouds: the Monge gap, the forms of a map, fitting one, and how good it is."""
