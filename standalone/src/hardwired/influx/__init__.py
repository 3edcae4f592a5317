"""InfluxDB as a sink (spec e): values become points, points are spooled, then delivered in order.

points     snapshots and readings -> lines of line protocol
answers    what an answer of the server means; delivery: a batch against those answers, without I/O
spool      what waits: on disk (SQLite), in memory, or on disk only in an outage
target     where lines are posted, per version of the server; http: the connection
worker     a thread that does one thing after the other
pipeline   pending -> spool -> server; sink: all of it behind the bridge's contract
"""
