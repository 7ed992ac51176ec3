"""The programs on the host of Cacti. They need only Python 3.9 and its standard library."""
