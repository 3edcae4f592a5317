# Shared by the scripts beside this file, which source it. BusyBox' sh is enough.
# shellcheck shell=sh
# GX_ROOT is put in front of every path, so that the scripts can be tried in a folder.

ROOT=${GX_ROOT:-}
HOME_FOLDER=$ROOT/data/mqtt-devices
SERVICES=$ROOT/service
SERVICE=$SERVICES/mqtt-devices
# shellcheck disable=SC2034
OLD_SERVICE=$SERVICES/dbus-mqtt-devices
# shellcheck disable=SC2034
RC_LOCAL=$ROOT/data/rc.local
BEGIN="# mqtt-devices begin"
END="# mqtt-devices end"

say() { echo "mqtt-devices: $*"; }
die() {
    echo "mqtt-devices: $*" >&2
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

services_are_served() {
    [ -d "$SERVICES" ] || return 1
    have pidof || return 0
    pidof svscan >/dev/null 2>&1
}

# The folder is made late at boot and is away while the firmware is updated.
wait_for_services() { # wait_for_services SECONDS
    waited=0
    while ! services_are_served; do
        [ "$waited" -lt "$1" ] || return 1
        sleep 2
        waited=$((waited + 2))
    done
}

put_service() {
    # A copy: the supervisor writes into it. Beside first, so that it never sees a half of it.
    # The scripts stay in place: a service that runs is only told to start again.
    mkdir -p "$SERVICE/log"
    for file in run log/run; do
        cp "$HOME_FOLDER/service/$file" "$SERVICE/$file.new" || return 1
        chmod 755 "$SERVICE/$file.new"
    done
    for file in log/run run; do
        mv "$SERVICE/$file.new" "$SERVICE/$file" || return 1
    done
    if [ -e "$HOME_FOLDER/service/down" ]; then : >"$SERVICE/down"; else rm -f "$SERVICE/down"; fi
    if have svrescan; then svrescan || true; fi
}

stop_service() { # stop_service FOLDER OPTIONS
    [ -e "$1" ] || return 0
    have svc || return 0
    svc "$2" "$1" 2>/dev/null || true
    [ ! -e "$1/log" ] || svc "$2" "$1/log" 2>/dev/null || true
}

without_block() { # without_block FILE: what is not between our markers
    sed "/^$BEGIN\$/,/^$END\$/d" "$1"
}

replace() { # replace FILE: takes its new content from the standard input, keeps its mode
    cat >"$1.new" && chmod 755 "$1.new" && mv "$1.new" "$1"
}
