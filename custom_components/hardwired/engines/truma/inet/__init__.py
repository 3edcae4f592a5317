"""The iNet box as the panel sees it, pure. Also runs in the responder's process.

:mod:`.box` is the whole box as a state machine: what it answers, what it learns.
:mod:`.buffers` are the status buffers and uploads that go through it, field by field.
:mod:`.signals` are the frames of other nodes.
"""
