"""What runs on the host of Cacti; Python 3.9 and its standard library only."""
