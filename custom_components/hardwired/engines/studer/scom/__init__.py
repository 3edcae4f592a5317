"""The SCOM wire, pure: bytes in, bytes out (spec b).

:mod:`.frame` and :mod:`.parser` cut and check frames, :mod:`.values` the data in them.
:mod:`.exchange` is one request and its answer, :mod:`.matching` tells whether they belong together.
:mod:`.multi_info`, :mod:`.messages`, :mod:`.files` are the services beside single values.
:mod:`.errors` names the error codes, :mod:`.families` who answers where, :mod:`.redaction` what is
masked in recordings. ``*_table`` are generated from ``data/studer``.
"""
