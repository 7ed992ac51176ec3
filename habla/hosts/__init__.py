"""The parts that every host gets because of the services on it."""
