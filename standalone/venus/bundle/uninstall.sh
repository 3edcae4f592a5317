#!/bin/sh
# Takes mqtt-devices off a GX. The settings of its devices stay, so that names and numbers are
# there if it, or the reference driver, comes back.
#
#   uninstall.sh [--purge]     --purge: those settings go too
set -u
# shellcheck source=standalone/venus/bundle/lib.sh
. "$(cd "$(dirname "$0")" && pwd)/lib.sh"

purge=
for word in "$@"; do
    case $word in
    --purge) purge=yes ;;
    *) die "usage: uninstall.sh [--purge]" ;;
    esac
done

stop_service "$SERVICE" -d
stop_service "$SERVICE" -dx
rm -rf "$SERVICE"
if [ -n "$purge" ]; then
    python3 "$HOME_FOLDER/app/main.py" purge || say "its settings are still there"
fi
if [ -e "$RC_LOCAL" ]; then
    without_block "$RC_LOCAL" | replace "$RC_LOCAL"
fi
rm -rf "$HOME_FOLDER"
say "is gone"
