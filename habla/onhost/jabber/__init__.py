"""Keeps the ejabberd node of a host ready, started and in the cluster of its peers."""
