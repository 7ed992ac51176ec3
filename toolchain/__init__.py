"""What sets up the Pulumi CLI and the Command plugin; not part of the library and never installed with it."""
