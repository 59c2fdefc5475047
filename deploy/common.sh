# shellcheck shell=bash
# What demo.sh and test.sh share: Debian packages, and the virtual environment in the checkout. Sourced, never run.

unset CDPATH # with it, cd prints where it went
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
venv=$top/.venv
PATH=$PATH:/usr/sbin:/sbin

say() { printf '== %s\n' "$*" >&2; } # standard output belongs to the command: --format json stays JSON
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
        e2fsprogs) command -v mke2fs ;;
        slurm-wlm) command -v slurmctld && command -v slurmd && command -v squeue ;;
        slurm-wlm-jwt-plugin) compgen -G '/usr/lib*/slurm/auth_jwt.so' || compgen -G '/usr/lib/*/slurm-wlm/auth_jwt.so' ;;
        mailutils) command -v mail ;; # gridengine wants a mailx, and the other one would bring a mail server
        gridengine-master) [ -x /usr/lib/gridengine/sge_qmaster ] ;;
        gridengine-exec) [ -x /usr/lib/gridengine/sge_execd ] ;;
        gridengine-client) [ -x /usr/lib/gridengine/qstat ] ;;
        xrootd-server) command -v xrootd ;;
        xrootd-client) command -v xrdcp ;;
        prometheus-alertmanager) command -v amtool ;;
        postgresql) compgen -G '/usr/lib/postgresql/*/bin/postgres' ;; # off the path
        nodejs) command -v node ;;
        procps) command -v ps ;;
        systemd) command -v systemd-analyze && command -v systemd-sysusers ;;
        *) command -v "$1" ;;
    esac >/dev/null 2>&1
}

policy=/usr/sbin/policy-rc.d
policy_mark='# made by deploy/common.sh of vaf-autoscaler while apt-get runs; may be removed'

# Servers that come with these packages must not start by themselves: they would listen beyond loopback.
forbid_servers() {
    [ ! -e "$policy" ] || return 0 # the machine has a rule of its own, or a killed run left ours
    as_root sh -c 'printf "#!/bin/sh\n%s\nexit 101\n" "$2" >"$1" && chmod 755 "$1"' - "$policy" "$policy_mark" ||
        die "$policy, which keeps installed servers from starting, could not be written"
}

allow_servers() {
    ! grep -qsF "$policy_mark" "$policy" || as_root rm -f "$policy" ||
        say "left behind, and it keeps servers from starting: $policy; remove it as root"
}

# Debian enables what it installs: those that would listen on the network, and were not on this machine before, do not
# start at the next boot either. munge and libvirtd, which listen on UNIX sockets only, do.
stay_off() {
    local package units=()
    for package in "$@"; do
        case $package in
            prometheus) units+=(prometheus.service) ;;
            prometheus-alertmanager) units+=(prometheus-alertmanager.service) ;;
            postgresql) units+=(postgresql.service) ;;
            slurm-wlm) units+=(slurmctld.service slurmd.service) ;;
            slurmrestd) units+=(slurmrestd.service) ;;
            gridengine-master) units+=(gridengine-master.service) ;;
            gridengine-exec) units+=(gridengine-exec.service) ;;
        esac
    done
    [ "${#units[@]}" -eq 0 ] || as_root systemctl --quiet disable "${units[@]}" >/dev/null 2>&1 || true
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
    [ "$(id -u)" -eq 0 ] || { command -v sudo >/dev/null && sudo true; } ||
        die "these Debian packages are missing, and installing them needs root or sudo: ${missing[*]}"
    say "installing ${missing[*]}"
    trap allow_servers EXIT # also after Ctrl-C
    forbid_servers
    local status=0
    { as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq -o DPkg::Lock::Timeout=300 --no-install-recommends "${missing[@]}"; } \
        >"$top/.venv-apt.log" 2>&1 </dev/null || status=$?
    allow_servers
    trap - EXIT
    stay_off "${missing[@]}"
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
    die "Python 3.11 or newer is needed and was not found (on Debian 12: apt-get install python3)"
}

# Prints the Debian packages that this Python lacks for making a virtual environment and for building libvirt-python.
python_packages() {
    "$1" -c 'import ensurepip' 2>/dev/null || echo python3-venv
    "$1" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' || echo python3-dev
}

# Makes the virtual environment with the named extras; does nothing when it is up to date.
need_venv() {
    local python=$1 extras=$2 stamp made
    stamp="$top $(cat "$top/pyproject.toml" "$top/deploy/constraints.txt" | sha256sum)"
    made=$(cat "$venv/.stamp" 2>/dev/null) || made=
    # What the tests need contains what the demo needs.
    if [[ $made == "$stamp $extras" || $made == "$stamp test" ]] && "$venv/bin/python" -c 'import autoscaler' 2>/dev/null; then
        say "the virtual environment .venv is up to date"
        return
    fi
    say "making the virtual environment .venv with vaf-autoscaler[$extras]"
    # One that was interrupted while it was made has no pip; the scripts of one that was moved start the old place's Python.
    { grep -qsF "$venv/bin/python" "$venv/bin/pip" && "$venv/bin/python" -m pip --version >/dev/null 2>&1; } ||
        "$python" -m venv --clear "$venv" || die "$python cannot make a virtual environment in $venv"
    "$venv/bin/python" -m pip install -q --disable-pip-version-check -c "$top/deploy/constraints.txt" -e "$top[$extras]" \
        || die "pip could not install vaf-autoscaler[$extras] into .venv: its output is above"
    echo "$stamp $extras" >"$venv/.stamp"
}
