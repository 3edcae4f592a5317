"""Drop-in faces of the programs that people ran before: pure, no file, no network, no clock.

One folder a program, with the reader of its configuration and its topics: :mod:`.sunsniff`
(bmerry/sunsniff), :mod:`.inetbox` (danielfett/inetbox.py, mc0110/inetbox2mqtt), :mod:`.xtender`
(TeepCo/xtender_mqtt, ``xtmq``). :mod:`.settings` reads their configurations section by section;
:mod:`.dialects` makes what they say on MQTT, :mod:`.legacy` what their dialects have in common;
:mod:`.discovery` describes single values to Home Assistant as ``xtmq`` does.
:mod:`.importing` turns their files into ours, :mod:`.adopting` says which entities of theirs live
on.
"""
