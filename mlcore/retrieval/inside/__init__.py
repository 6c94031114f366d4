"""What runs inside the sandbox's children and nowhere else: every function here may hang, crash or be killed.

Called by name through :meth:`mlcore.runtime.sandbox.Sandbox.call`; imports RDKit and NumPy, nothing heavier.
"""
