"""The watcher, which looks at each host every few seconds. It needs only Python 3.9 and its standard library.

It looks at partitions, at logs and what rotates them, and at its peers, and tells somebody what is wrong.
"""
