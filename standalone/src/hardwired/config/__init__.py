"""CONFIG.toml: what may stand in it, and reading it (spec b).

kinds      what a value can be: its reader and its JSON schema
tables     the tables of the file; families/ those of each device family and its old programs
lines      in which line of the file a key stands
reader     a file -> settings with all defaults, or every error with its place
schema     the JSON schema, from the same tables
secrets    texts that are never shown: from the file, another file, the environment, systemd
"""
