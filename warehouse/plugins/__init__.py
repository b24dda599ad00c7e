"""The function registry bound to engines."""
