"""The climate entities, each made by its family."""

from __future__ import annotations

from homeassistant.const import Platform

from .entity import platform_setup

PARALLEL_UPDATES = 1

async_setup_entry = platform_setup(Platform.CLIMATE)
