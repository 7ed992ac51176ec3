"""Programs of a front host, beside its HAProxy instances; Python 3.9 and its standard library only."""
