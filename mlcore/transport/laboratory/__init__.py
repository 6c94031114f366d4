"""The transport laboratory: weighted clouds, a cost and a solver by name, and all that can be said of the plan."""
