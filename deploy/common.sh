# shellcheck shell=bash
# What demo.sh and test.sh share: Debian packages, and the virtual environment in the checkout. Sourced, never run.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$top/.venv
PATH=$PATH:/usr/sbin:/sbin

say() { printf '== %s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else die "this step needs root or sudo: $*"
    fi
}

# Whether what a Debian package is needed for is there, however it came.
has() {
    case $1 in
        libvirt-dev) pkg-config --exists libvirt ;;
        libc6-dev) [ -e /usr/include/stdio.h ] ;;
        python3-*) false ;; # asked for only when this Python lacks it
        libvirt-daemon) command -v libvirtd ;;
        libvirt-daemon-system) [ -e /etc/libvirt/qemu.conf ] ;;
        libvirt-clients) command -v virsh ;;
        qemu-system-x86) command -v qemu-system-x86_64 ;;
        busybox-static) [ -x /bin/busybox ] && ! ldd /bin/busybox ;; # the one that needs no libraries
        linux-image-cloud-amd64) compgen -G '/boot/vmlinuz-*-cloud-amd64' ;;
        slurm-wlm) command -v slurmctld && command -v slurmd && command -v squeue ;;
        xrootd-server) command -v xrootd ;;
        xrootd-client) command -v xrdcp ;;
        procps) command -v ps ;;
        *) command -v "$1" ;;
    esac >/dev/null 2>&1
}

# Installs those of the named Debian packages that are missing; without apt it names them and gives up.
need_packages() {
    local missing=() package
    for package in "$@"; do
        has "$package" || missing+=("$package")
    done
    [ "${#missing[@]}" -eq 0 ] && { say "all needed Debian packages are there"; return; }
    command -v apt-get >/dev/null ||
        die "there is no apt-get here, and these Debian packages or their equivalents are missing: ${missing[*]}"
    say "installing ${missing[*]}"
    local policy=/usr/sbin/policy-rc.d made=
    # Servers that come with these packages must not start by themselves: they would listen beyond loopback.
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null && as_root chmod +x "$policy"
        made=yes
    fi
    local status=0
    { as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$top/.venv-apt.log" 2>&1 || status=$?
    [ -z "$made" ] || as_root rm -f "$policy"
    if [ "$status" -ne 0 ]; then
        tail -n 20 "$top/.venv-apt.log" >&2
        die "apt-get could not install: ${missing[*]} (the end of its output is above, all of it in .venv-apt.log)"
    fi
    rm -f "$top/.venv-apt.log"
}

find_python() {
    local candidate
    for candidate in python3.11 python3 python3.12 python3.13; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    die "Python 3.11 or newer is needed and was not found"
}

# Prints the Debian packages that this Python lacks for making a virtual environment and for building libvirt-python.
python_packages() {
    "$1" -c 'import ensurepip' 2>/dev/null || echo python3-venv
    "$1" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' || echo python3-dev
}

# Makes the virtual environment with the named extras; does nothing when it is up to date.
need_venv() {
    local python=$1 extras=$2 stamp
    stamp=$(cat "$top/pyproject.toml" "$top/deploy/constraints.txt" | sha256sum)" $extras $top"
    if [ "$(cat "$venv/.stamp" 2>/dev/null)" = "$stamp" ] && "$venv/bin/python" -c 'import autoscaler' 2>/dev/null; then
        say "the virtual environment .venv is up to date"
        return
    fi
    say "making the virtual environment .venv with vaf-autoscaler[$extras]"
    "$venv/bin/python" -c '' 2>/dev/null || "$python" -m venv --clear "$venv" || die "$python cannot make a virtual environment in $venv"
    "$venv/bin/python" -m pip install -q --disable-pip-version-check -c "$top/deploy/constraints.txt" -e "$top[$extras]" \
        || die "pip could not install vaf-autoscaler[$extras] into .venv: its output is above"
    echo "$stamp" >"$venv/.stamp"
}
