"""What runs on a host: Python 3.9+ and its standard library only. It knows nothing of the rest of habla."""
