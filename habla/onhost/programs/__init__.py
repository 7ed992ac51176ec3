"""Programs of one module each, which services put on their hosts."""
