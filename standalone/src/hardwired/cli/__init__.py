"""The console command ``hardwired``.

:mod:`.main` reads the command line and runs it; :mod:`.verbs` has one module a family, found by
its name: what can be decoded, simulated, recorded, probed. :mod:`.arguments` are types of
arguments that several share, :mod:`.output` is how results and remarks are written.
:mod:`.commands` are the bridge's verbs (run, check, import ...); :mod:`.dropin` is what happens
when the program is called by an old program's name.
"""
