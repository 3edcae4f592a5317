"""Operating the bridge: the service manager, the watchdog, health and metrics, the log (spec f).

notify     sd_notify, by hand
watchdog   who has to report by when; what is done about those who don't
health     the figures as JSON, metrics the same for Prometheus, http serves both
logs       what stands on stderr, in which format, without secrets
app        the container of Home Assistant OS: broker and discovery through the Supervisor
"""
