# Shared by the scripts beside this file, which source it; it changes into the project's root.
# shellcheck shell=bash

cd "$(dirname "${BASH_SOURCE[0]}")/.."
ROOT=$PWD
: "${HOME:=$(getent passwd "$(id -u)" | cut -d: -f6)}"
export HOME
CACHE=${HARDWIRED_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/hardwired}
mkdir -p "$CACHE"
CACHE=$(cd "$CACHE" && pwd)
export HARDWIRED_CACHE=$CACHE
export UV_CACHE_DIR=$CACHE/uv-cache UV_PYTHON_INSTALL_DIR=$CACHE/python
export UV_NO_PROGRESS=1 UV_NO_CONFIG=1 PIP_DISABLE_PIP_VERSION_CHECK=1
[ "$(stat -c %d . 2>/dev/null)" = "$(stat -c %d "$CACHE" 2>/dev/null)" ] || export UV_LINK_MODE=copy
unset VIRTUAL_ENV CONDA_PREFIX PYTHONPATH PYTHONHOME
unset PYTHONDONTWRITEBYTECODE # hundreds of processes are started: to compile each time takes long

say() { printf '%s\n' "== $*"; }
warn() { printf '%s\n' "!! $*" >&2; }
die() {
    warn "$@"
    exit 1
}
as_root() { [ "$(id -u)" = 0 ]; }

# The machine's own certificates: a mirror or a proxy may have one that only it knows.
export UV_SYSTEM_CERTS=true UV_NATIVE_TLS=true
