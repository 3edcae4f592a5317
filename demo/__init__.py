"""A real Home Assistant with simulated devices, for the demonstration and the end-to-end tests."""
