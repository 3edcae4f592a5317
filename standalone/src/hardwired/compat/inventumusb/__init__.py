"""sircuri/InventumUSB: the reader of its configuration (:mod:`.config`, :mod:`.importer`)."""
