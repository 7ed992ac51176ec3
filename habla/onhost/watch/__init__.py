"""The watcher, which looks at each host every few seconds. It needs only Python 3.9 and its standard library.

It looks at partitions, at logs and their rotation, and at its peers, and reports faults to the operator.
"""
