#!/bin/sh
# Started by /data/rc.local at every boot: waits for the service folder, then puts the service in.
# shellcheck source=standalone/venus/bundle/lib.sh
. "$(dirname "$0")/lib.sh"

if wait_for_services "${GX_WAIT:-120}"; then
    put_service || true
elif have logger; then
    logger -t mqtt-devices "not started: no $SERVICES after ${GX_WAIT:-120} s"
fi
exit 0
