"""Tests of the Venus OS driver (``standalone/venus``).

``test_vectors_*`` hold it to the golden vectors: the protocol alone, the stand-ins, and the
driver itself, run from the built bundle on a real D-Bus daemon and a real broker, under the
oldest and under newer Pythons (``pythons``). ``observer`` is what a test sees of both sides.
The other modules test what has no vectors: storms, fuzz, the installer, clocks.
"""
