# Python 3.14 out of the packages of Debian testing, unpacked into a private folder.
#
# For machines that reach a Debian mirror and nothing that has a newer Python. Nothing of the
# system is changed: apt works with folders, a source list and a package status of its own.
# The mirror is the one that the machine's own apt sources name.
# shellcheck shell=bash

DEBIAN_SUITE=forky

_mirror() {
    local codename
    # shellcheck disable=SC1091
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    apt-get indextargets --no-release-info --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' \
        'Identifier: Packages' 2>/dev/null |
        awk -v suite="$codename" \
            '$3 == "main" && $2 ~ "^(" suite "|stable|testing|sid|unstable)$" && !n++ { print $1 }'
}

# debian_python DEST: leaves a working DEST/usr/bin/python3.14, or says why not and returns 1.
debian_python() {
    local dest=$1 mirror apt keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    local tool multiarch loader program=usr/bin/python3.14
    for tool in apt-get dpkg-deb; do
        command -v $tool >/dev/null || {
            warn "Debian's packages: there is no $tool here."
            return 1
        }
    done
    mirror=$(_mirror)
    [ -n "$mirror" ] || {
        warn "Debian's packages: this machine's apt sources name no Debian mirror."
        return 1
    }
    say "Taking Python 3.14 from Debian $DEBIAN_SUITE's packages, from this machine's own mirror"
    apt=$dest.apt
    rm -rf "$dest" "$dest.new" "$apt"
    mkdir -p "$dest.new" "$apt"/{state,lists/partial,cache/archives/partial}
    : >"$apt/status"
    echo "deb $([ ! -r $keyring ] || echo "[signed-by=$keyring]") $mirror $DEBIAN_SUITE main" \
        >"$apt/sources.list"
    cat >"$apt/apt.conf" <<CONF
Dir::State "$apt/state";
Dir::State::status "$apt/status";
Dir::State::lists "$apt/lists";
Dir::Cache "$apt/cache";
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Install-Recommends "false";
APT::Sandbox::User "";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Install-Pkgs;
#clear DPkg::Post-Invoke;
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::Check-Valid-Until "false"; // a mirror may be a snapshot; signatures are checked all the same
CONF
    if ! {
        APT_CONFIG=$apt/apt.conf apt-get update -qq --error-on=any &&
            APT_CONFIG=$apt/apt.conf apt-get install -qq --yes --download-only \
                python3.14 python3.14-venv python3.14-dev
    } >"$apt/log" 2>&1; then
        sed 's/^/   /' "$apt/log" | tail -n 8 >&2
        warn "Debian's packages: could not be downloaded."
        return 1
    fi
    local package
    for package in "$apt"/cache/archives/*.deb; do
        dpkg-deb -x "$package" "$dest.new" || return 1
    done
    rm -rf "$apt"
    mv "$dest.new" "$dest"

    # The program must find the C library and the others beside it, not the system's older ones.
    loader=$(find "$dest/usr/lib" -name 'ld-linux*.so*' | head -n 1)
    multiarch=$(basename "$(dirname "$loader")")
    "$CACHE/tools/bin/patchelf" --set-interpreter "$loader" "$dest/$program"
    "$CACHE/tools/bin/patchelf" --force-rpath --set-rpath "$dest/usr/lib/$multiarch" \
        "$dest/$program"

    # Headers for C extensions: the two folders that Python.h asks for, without the C library's.
    mkdir -p "$dest/headers/$multiarch"
    ln -sfn ../usr/include/python3.14 "$dest/headers/python3.14"
    ln -sfn "../../usr/include/$multiarch/python3.14" "$dest/headers/$multiarch/python3.14"
}
