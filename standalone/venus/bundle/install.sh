#!/bin/sh
# Installs or upgrades mqtt-devices on a GX. Can be run again. As root, from where it was unpacked.
#
#   install.sh [--force]     --force: also where no Venus OS is found
set -u
SOURCE=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=standalone/venus/bundle/lib.sh
. "$SOURCE/lib.sh"

force=
for word in "$@"; do
    case $word in
    --force) force=yes ;;
    *) die "usage: install.sh [--force]" ;;
    esac
done

check() {
    if [ -z "$force" ]; then
        [ -e "$ROOT/opt/victronenergy/version" ] || die "this is no Venus OS (--force: all the same)"
        [ -w "$ROOT/data/." ] || die "/data can't be written"
    fi
    if have sha256sum && [ -e "$SOURCE/SHA256SUMS" ]; then
        (cd "$SOURCE" && sha256sum -c SHA256SUMS >/dev/null 2>&1) ||
            die "the files are damaged: unpack them again"
    fi
    have python3 || die "there is no python3"
    python3 "$SOURCE/app/main.py" --check-imports ||
        die "this Python lacks something that the driver needs; nothing was changed"
}

take_over() { # stops the reference driver and keeps it from starting again
    [ -e "$OLD_SERVICE" ] || [ -L "$OLD_SERVICE" ] || return 0
    say "taking over from dbus-mqtt-devices"
    if [ -e "$OLD_SERVICE/run" ]; then
        python3 "$SOURCE/app/main.py" migrate --run "$OLD_SERVICE/run" \
            --config "$HOME_FOLDER/config.json" --root "$ROOT" ||
            say "its start line was not taken over: see config.json"
    fi
    stop_service "$OLD_SERVICE" -d
    if [ -L "$OLD_SERVICE" ]; then
        target=$(readlink "$OLD_SERVICE")
        rm -f "$OLD_SERVICE"
        # The supervisor ends by itself only when it is told to; it was reached through the link.
        if have svc && [ -d "$target" ]; then svc -dx "$target" "$target/log" 2>/dev/null || true; fi
    else
        stop_service "$OLD_SERVICE" -dx
        rm -rf "$OLD_SERVICE"
    fi
}

silence_old_lines() {
    [ -e "$RC_LOCAL" ] || return 0
    grep -v '^[[:space:]]*#' "$RC_LOCAL" | grep -q dbus-mqtt-devices || return 0
    # What is left must still be a script: of an "if" with nothing in it the shell runs no line.
    for mark in "# " ": # "; do
        sed "/^[[:space:]]*#/!{/dbus-mqtt-devices/s/^/$mark/;}" "$RC_LOCAL" >"$RC_LOCAL.silent"
        if sh -n "$RC_LOCAL.silent" 2>/dev/null || ! sh -n "$RC_LOCAL" 2>/dev/null; then
            replace "$RC_LOCAL" <"$RC_LOCAL.silent"
            rm -f "$RC_LOCAL.silent"
            return 0
        fi
    done
    rm -f "$RC_LOCAL.silent"
    say "/data/rc.local starts dbus-mqtt-devices: take these lines out by hand"
}

copy_files() {
    mkdir -p "$HOME_FOLDER" || die "$HOME_FOLDER can't be made"
    [ "$SOURCE" = "$(cd "$HOME_FOLDER" && pwd)" ] && return 0
    rm -rf "$HOME_FOLDER/app.new"
    cp -R "$SOURCE/app" "$HOME_FOLDER/app.new" || die "no room in /data?"
    for file in lib.sh boot.sh install.sh uninstall.sh version LICENSES.txt setup gitHubInfo; do
        [ -e "$SOURCE/$file" ] || continue
        cp "$SOURCE/$file" "$HOME_FOLDER/$file.new" || die "no room in /data?"
        mv "$HOME_FOLDER/$file.new" "$HOME_FOLDER/$file"
    done
    mkdir -p "$HOME_FOLDER/service/log"
    cp "$SOURCE/service/run" "$HOME_FOLDER/service/run"
    cp "$SOURCE/service/log/run" "$HOME_FOLDER/service/log/run"
    chmod 755 "$HOME_FOLDER"/*.sh "$HOME_FOLDER/service/run" "$HOME_FOLDER/service/log/run"
    rm -rf "$HOME_FOLDER/app.old"
    [ ! -d "$HOME_FOLDER/app" ] || mv "$HOME_FOLDER/app" "$HOME_FOLDER/app.old"
    mv "$HOME_FOLDER/app.new" "$HOME_FOLDER/app"
    rm -rf "$HOME_FOLDER/app.old"
}

add_boot_lines() {
    if [ ! -e "$RC_LOCAL" ]; then echo '#!/bin/sh' | replace "$RC_LOCAL"; fi
    without_block "$RC_LOCAL" >"$RC_LOCAL.plain"
    # The lines go in front of a final exit, which nothing behind would be reached after.
    awk -v begin="$BEGIN" -v end="$END" '
        function block() {
            print begin
            print "if [ -x /data/mqtt-devices/boot.sh ]; then /data/mqtt-devices/boot.sh & fi"
            print end
        }
        { line[NR] = $0; if ($0 !~ /^[ \t]*(#.*)?$/) last = NR }
        END {
            before = (last && line[last] ~ /^[ \t]*exit([ \t]|$)/) ? last : NR + 1
            for (n = 1; n <= NR; n++) { if (n == before) block(); print line[n] }
            if (before > NR) block()
        }' "$RC_LOCAL.plain" | replace "$RC_LOCAL"
    rm -f "$RC_LOCAL.plain"
}

start() {
    wait_for_services "${GX_WAIT:-30}" ||
        die "there is no $SERVICES yet. It is installed; it starts with the next boot."
    running=
    [ ! -e "$SERVICE/run" ] || running=yes
    put_service || die "$SERVICE can't be written"
    [ -z "$running" ] || stop_service "$SERVICE" -t
    have svstat || return 0
    [ ! -e "$SERVICE/down" ] || return 0
    waited=0
    until svstat "$SERVICE" 2>/dev/null | grep -q ': up'; do
        [ "$waited" -lt "${GX_WAIT:-30}" ] || die "the service does not start: see /var/log/mqtt-devices/current"
        sleep 1
        waited=$((waited + 1))
    done
}

check
mkdir -p "$HOME_FOLDER" || die "$HOME_FOLDER can't be made"
take_over
silence_old_lines
copy_files
add_boot_lines
start
say "version $(cat "$HOME_FOLDER/version") is installed and runs"
