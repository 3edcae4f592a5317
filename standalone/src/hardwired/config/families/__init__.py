"""What each device family and its old programs take in CONFIG.toml, one module a family."""
