"""Everything that runs on a host: Python 3.9 or newer and its standard library only."""
