"""What can be read and set, pure (spec d).

:mod:`.datapoint` has every datapoint as an object, from the generated :mod:`.table`.
:mod:`.limits` checks and encodes what is to be written.
:mod:`.plausibility` refuses what can't be a value before it is shown.
"""
