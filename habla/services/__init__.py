"""One module per daemon: settings and a site in, files, packages, units, checks, logs and ports out. Pure."""
