"""What every host gets because of the services on it."""
