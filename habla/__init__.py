"""The Hab.la live-chat fleet as a Pulumi library."""
