"""Language models of molecules and text, and the methods that sample from them."""
