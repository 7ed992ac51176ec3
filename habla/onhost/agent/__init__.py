"""The agent, which runs on each host. It needs only Python 3.9 and its standard library."""
