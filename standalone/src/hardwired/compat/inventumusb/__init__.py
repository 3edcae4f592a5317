"""sircuri/InventumUSB: the reader of its configuration, its topics (spec inventum g).

:mod:`.config` and :mod:`.importer` read the file, :mod:`.dialect` says and hears what it did.
"""
