"""Studer Innotec Xtender plants, spoken to in SCOM through an Xcom-232i or an Xcom-LAN.

Codecs (pure): :mod:`.frame`, :mod:`.parser`, :mod:`.matching`, :mod:`.values`, :mod:`.errors`,
:mod:`.multi_info`, :mod:`.messages`, :mod:`.datalog`, :mod:`.moxa`. Rules (pure): :mod:`.gate`,
:mod:`.limits`, :mod:`.presence`, :mod:`.scheduler`. Tables: :mod:`.datapoints`,
:mod:`.catalogue`. Dialogue: :mod:`.line`, :mod:`.engine`.
"""
