"""One small module a page: parse, call one function, render."""
