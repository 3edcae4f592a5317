"""Drop-in faces of the programs that people ran before: pure, no file, no network, no clock.

``sunsniff_*`` (bmerry/sunsniff), ``inetbox_*`` (danielfett/inetbox.py, mc0110/inetbox2mqtt) and
``xtmq_*`` (TeepCo/xtender_mqtt) read their configuration and speak their topics. ``discovery``
serves devices that had no program; the other modules are shared.
"""
