"""The console command ``hardwired``.

:mod:`.main` reads the command line and runs it; :mod:`.verbs` has one module a family, found by
its name: what can be decoded, simulated, recorded, probed. :mod:`.arguments` are types of
arguments that several share, :mod:`.output` is how results and remarks are written.
"""
