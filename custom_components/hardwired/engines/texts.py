"""What errors say, in English. Made of ``strings/`` by ``script/strings.py``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

TEXTS: Final[Mapping[str, str]] = {
    "aircon_out_of_range": (
        "In this mode the air conditioner takes {lowest} to {highest} °C. Nothing was sent."
    ),
    "alde_read_only": "An Alde panel is only read: how it takes settings is not known.",
    "bad_address": "The address or a setting can't be understood. Details: {message}",
    "bad_filter": "The capture filter can't be understood: {message}",
    "bad_timezone": "There is no such time zone. Details: {message}",
    "busy": (
        "Another program uses this port. Stop it, or choose another port. On USB it is often "
        "ModemManager, which tries out every new port. Details: {message}"
    ),
    "can_not_switch_off": "The unit always ventilates; it can't be switched off here.",
    "clock_not_set": (
        "The system's clock is not set (it says {year}); such a time is never written into a "
        "device."
    ),
    "clock_not_synchronised": (
        "The system does not know that its own clock is right, so it is written into no device. "
        "Give the time yourself, or wait until a time server has set the clock."
    ),
    "command_failed": "The command failed: {message}",
    "device_not_found": (
        "The chosen device does not belong to this integration, or is not there now."
    ),
    "dialogue_failed": (
        "The terminal's pages did not follow the keys ({why}); the setting was not made."
    ),
    "disconnected": "The link was lost. Check the cable and the adapter. Details: {message}",
    "electricity_without_power": (
        "Electricity and mixed need 900 or 1800 W, not 0 W. Nothing was sent."
    ),
    "entry_not_loaded": "The configuration entry is missing or not loaded.",
    "entry_of_another_family": (
        "{title} is an entry of another kind; this action is for {family}. Choose one of the "
        "family that this action belongs to."
    ),
    "failed": "Something unforeseen happened; the log has the details. Details: {message}",
    "fuel_with_power": (
        "Fuel alone has no electric power of {power} W: choose electricity or mixed, or 0 W. "
        "Nothing was sent."
    ),
    "gateway_settings": (
        "The gateway between is set up wrongly. The documentation shows the right settings. "
        "Details: {message}"
    ),
    "interface_down": "The network interface is down. Details: {message}",
    "invalid_command": "This can't be set: {message}",
    "logging_in": "The device answers; logging in goes on. Details: {message}",
    "lost_meanwhile": (
        "The link was lost before the panel acknowledged the setting; whether it took it is "
        "unknown."
    ),
    "no_answer": (
        "The device does not answer. Check that it is switched on and that the transmit wire is "
        "connected. Details: {message}"
    ),
    "no_baseline": "The panel has not sent its present settings yet, so nothing can be changed.",
    "no_device_list": "The panel sent no list of its devices.",
    "no_fan_column": (
        "The data logger has no column for the fan, so nothing could be confirmed; nothing was "
        "sent."
    ),
    "no_fan_row": "No row of the list IO status names the fan (3-standen); nothing was changed.",
    "no_heating_mode": "This heater has no heating mode {mode}. Nothing was sent.",
    "no_permission": (
        "Home Assistant is not allowed to open this. See the documentation for the permission it "
        "needs. Details: {message}"
    ),
    "no_reports": (
        "Packets pass, but none carries a report. Check the filter, and that the dongle's traffic "
        "reaches this computer. Details: {message}"
    ),
    "no_row_shows_it": "No row of the data logger shows it; whether the unit took it is unknown.",
    "no_traffic": (
        "The interface is up, but no packet passes. The device's traffic may not reach this "
        "computer. Details: {message}"
    ),
    "no_water_boost": "A VarioHeat has no boost for hot water. Nothing was sent.",
    "noise": (
        "Bytes arrive, but they make no sense. Check the baud rate, the parity and that this is "
        "the right device. Details: {message}"
    ),
    "not_a_capture": "This is no capture file. Details: {message}",
    "not_acknowledged": "The panel did not acknowledge the setting; whether it took it is unknown.",
    "not_confirmed": (
        "The device did not confirm; whether it took the setting is unknown: {message}"
    ),
    "not_connected": "The device is not connected now; nothing was sent.",
    "not_fetched": "The panel did not fetch the setting within two minutes.",
    "not_found": (
        "The port, host or file does not exist. Check the name; a USB adapter may be unplugged. "
        "Details: {message}"
    ),
    "not_freed": (
        "{entity_id} did not go away: stop the other program, or restart Home Assistant, and try "
        "again."
    ),
    "not_registered": "The device talks, but has not taken us in yet. Details: {message}",
    "not_written": "The file could not be written: {message}",
    "observer": "This entry only observes; nothing can be set.",
    "off_with_target": (
        "Off and heating exclude each other: give a room temperature of at least 5 °C with a "
        "heating mode, or switch off without one. Nothing was sent."
    ),
    "one_at_a_time": "Boost, data logger and position are set one at a time. Nothing was sent.",
    "read_only": "This source only listens; nothing can be set.",
    "recorded_in_part": (
        "The entry was unloaded after {seconds} seconds; the {frames} frames that were recorded "
        "until then lie in {file}."
    ),
    "refused": (
        "The host refuses the connection. Check the port number and that the gateway's server mode "
        "is on. Details: {message}"
    ),
    "refused_by_device": "The device refused: {message}",
    "rejected": "The panel rejected the setting (result {result}).",
    "rejected_for_error": (
        "The panel rejected the setting: it shows error {number}, and refuses settings as long as "
        "it does."
    ),
    "room_out_of_range": (
        "The room temperature is 0 (off) or 5 to 30 °C, not {wished} °C: less than 5 °C would "
        "leave the vehicle to the frost. Nothing was sent."
    ),
    "second_master": "Something else plays our part on this bus. Unplug it. Details: {message}",
    "silent": (
        "The port is open, but not one byte arrives. Check the wiring, the ground and the power of "
        "the device. Details: {message}"
    ),
    "speed_not_supported": (
        "Only automatic and boost, the highest step, can be set. The steps below are shown when "
        "the unit itself chooses them."
    ),
    "starting": "It is too early to tell. Details: {message}",
    "storage_unreadable": (
        "What was kept of this device can't be read, so nothing is begun that would overwrite it. "
        "A newer release may have written it; else see the permissions in the folder .storage. "
        "Details: {message}"
    ),
    "studer_above_level": (
        "{datapoint} is for the user level {level}; in the options {chosen} is chosen."
    ),
    "studer_bad_answer": "{datapoint} answers {count} bytes that do not fit its format.",
    "studer_bad_value": "{datapoint} does not take {value}.",
    "studer_clock_set": "The clock of the plant was set today already. Set “force” if it must be.",
    "studer_file_broken": "The file did not arrive whole. Try again.",
    "studer_file_under_way": "A file is being read from the gateway. Try again when it is done.",
    "studer_firmware_old": (
        "Firmware {found} does not know values in RAM, {wanted} does. Update it, write into flash "
        "deliberately with the action, or let the device keep changes in RAM: switch off its “Save "
        "parameters in flash memory”."
    ),
    "studer_flash_too_often": (
        "“{datapoint}” of {device} was written into flash too often lately: at most {minute} times "
        "a minute and {day} times a day, because each write wears it. Write into RAM instead."
    ),
    "studer_flash_worn": (
        "{datapoint} of {device} was written into flash {count} times; 1000 are guaranteed. Set "
        "“force” if it must be."
    ),
    "studer_guarded": (
        "{datapoint} is guarded, because it can stop the plant or lose settings. To send it, set "
        "“confirm” to {number}."
    ),
    "studer_link_lost": (
        "The link was lost before the answer came; whether the setting was taken is unknown."
    ),
    "studer_no_command": "There is no command {command}.",
    "studer_no_datapoint": "{kind}: there is no datapoint {datapoint}.",
    "studer_no_date": (
        "{date} can't be the date: the clock of a plant is set to the years 2025 to 2037 only."
    ),
    "studer_no_format": "There is no format {format}.",
    "studer_no_leds": "The gateway has no LEDs to flash. Choose a device behind it.",
    "studer_no_log_file": "“{file}” is not the name of a log file, such as LG240131.CSV.",
    "studer_no_multicast": "{kind}: there is one only, and no address for all units.",
    "studer_no_option": "{datapoint} takes one of {options}, not {value}.",
    "studer_no_property": "There is no property {property}.",
    "studer_no_reply": "{device} does not answer now.",
    "studer_no_signal": "{datapoint} is no signal.",
    "studer_not_read_back": (
        "{datapoint} was accepted, but can't be read back; whether it is stored is unknown."
    ),
    "studer_not_readable": "{datapoint} can't be read.",
    "studer_not_writable": "{datapoint} can't be written.",
    "studer_nothing_to_revert": "{datapoint} has nothing to revert.",
    "studer_nothing_to_set": "Nothing is to be set: no value was given.",
    "studer_number_wanted": "“{field}” is a number from {low} to {high}.",
    "studer_only_value": "{datapoint} is a measured value: it has no limits and no user level.",
    "studer_out_of_range": "{datapoint} takes {low} to {high}{unit}, not {value}.",
    "studer_read_unanswered": "No answer about {datapoint}.",
    "studer_reads_back": "{datapoint} shows {found} after {written} was written.",
    "studer_refused": "{datapoint} was refused: {error}.",
    "studer_superseded": "A newer value came before this one was sent; the newer one counts.",
    "studer_too_many": "{count} commands wait already. Nothing was sent; try again.",
    "studer_units_lost": "{device} would not hear it; nothing was sent.",
    "studer_value_missing": "The value for {datapoint} is missing.",
    "studer_watchdog": (
        "The watchdog of {device} is on: after a write it would stop the device when no other "
        "follows within {seconds} s. Switch the watchdog off, or choose in the options to keep "
        "watchdogs fed."
    ),
    "studer_which_datapoint": "Which datapoint? Give its number.",
    "studer_write_unanswered": (
        "No answer to the write of {datapoint}; whether it was taken is unknown."
    ),
    "studer_write_unclear": (
        "The answer to the write of {datapoint} has the wrong length; whether it was taken is "
        "unknown."
    ),
    "sunsynk_bad_value": "{setting} does not take {value}. Nothing was sent.",
    "sunsynk_changed_otherwise": (
        "The inverter made {found} of {written} for {setting}: it has a limit of its own there. "
        "What had been set was put back."
    ),
    "sunsynk_kept_old": (
        "The inverter did not take {written} for {setting}; it still shows {found}. What had been "
        "set with it was put back."
    ),
    "sunsynk_no_date": (
        "{date} can't be the date: the inverter's clock is set to the years 2025 to 2037 only."
    ),
    "sunsynk_no_option": "{setting} takes one of {options}, not {value}. Nothing was sent.",
    "sunsynk_no_setting": "{setting} is no setting that can be changed on this inverter.",
    "sunsynk_not_read": (
        "Register {register}, which bounds {setting}, could not be read. Nothing was sent."
    ),
    "sunsynk_not_read_back": (
        "{setting} was sent, but can't be read back; whether it was taken is unknown."
    ),
    "sunsynk_nothing_to_set": "Nothing is to be set: no value was given.",
    "sunsynk_out_of_range": "{setting} takes {low} to {high} now, not {value}. Nothing was sent.",
    "sunsynk_outside_then": (
        "{setting} would be outside its limits then. Nothing was sent; set both together."
    ),
    "sunsynk_refused": "The inverter refuses to set {setting} (exception {code}).",
    "sunsynk_slot_order": (
        "{setting} must stay between the times of the slots beside it. Nothing was sent; set the "
        "slots together with the action for all six."
    ),
    "sunsynk_steps": "{setting} goes in steps of {step}, not {value}. Nothing was sent.",
    "sunsynk_taken_back": (
        "The inverter took {written} for {setting}, and shows {found} again {seconds} s later: "
        "something else sets it too, such as the maker's cloud, its app or a second Modbus master."
    ),
    "sunsynk_three_phase": (
        "This is a three-phase inverter. It has other registers and is not supported yet. Details: "
        "{message}"
    ),
    "sunsynk_too_many": "{count} commands wait already. Nothing was sent; try again.",
    "sunsynk_too_often": (
        "The inverter's memory wears, so at most {most} settings an hour are written: {left} are "
        "left now, {wanted} are wanted. Nothing was sent; try again in {minutes} minutes."
    ),
    "sunsynk_which_inverter": "There are several inverters: name the device.",
    "sunsynk_whole_minutes": "{setting} takes whole minutes. Nothing was sent.",
    "sunsynk_writing_off": (
        "Settings of this inverter can't be changed: allow it in the options of the entry."
    ),
    "superseded": "A newer wish took its place.",
    "unknown_family": "This version knows no device family {family}. Update the integration.",
    "unloaded_meanwhile": (
        "The configuration entry was unloaded before the device confirmed; whether it took the "
        "setting is unknown."
    ),
    "unreachable": (
        "The host can't be reached. Check the address and the network. Details: {message}"
    ),
    "vent_of_mode": "In this mode the fan of the air conditioner is: {vents}. Nothing was sent.",
    "victron_gx_bad_client_id": "A client id has letters, digits and underscores only.",
    "victron_gx_bad_services": (
        "Services are names with a type each; types have small letters, digits and underscores."
    ),
    "victron_gx_bad_values": "Values are paths with a value each, such as Temperature: 21.5.",
    "victron_gx_client_id_taken": "The client id {client_id} belongs to an export.",
    "victron_gx_no_commands": (
        "The helper on the GX takes no commands; its option allow_commands is off, or it is not "
        "there."
    ),
    "victron_gx_no_reply": "The driver on the GX did not answer the registration of {client_id}.",
    "victron_gx_not_registered": "{client_id} has no service {service}: register it first.",
    "waiting_for_peer": (
        "Nobody has connected yet. Check the gateway's client settings: our address and port. "
        "Details: {message}"
    ),
    "whole_degrees": "The panel takes whole degrees, not {wished} °C. Nothing was sent.",
    "wish_superseded": "This setting was not sent: a later one says something else.",
    "wrong_code": (
        "The device does not take this code. Check it and enter it anew. Details: {message}"
    ),
    "wrong_device": (
        "Something answers, but it is not the device that belongs here. Details: {message}"
    ),
    "wrong_minutes": "A boost lasts 1 to {longest} whole minutes, not {given}. Nothing was sent.",
}
