"""What the owner asks for; everything is checked before anything is sent (spec e).

:mod:`.dispatch` takes every command and gives it to :mod:`.write` (settings), :mod:`.read` or
:mod:`.gateway` (LEDs, clock, SD card). :mod:`.targets` finds the datapoint that is meant and
whether the owner's level permits it; :mod:`.safeguards` says what forbids a write now;
:mod:`.parameter` writes one parameter of one device. :mod:`.refusals` are the errors they share.
"""
