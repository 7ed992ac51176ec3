"""Sets up the Pulumi CLI and the Command plugin. Not a part of the installed library."""
