"""What runs on each host, every few seconds: Python 3.9+ and its standard library only.

It looks at partitions, at logs and what rotates them, and at its peers, and tells somebody what is wrong.
"""
