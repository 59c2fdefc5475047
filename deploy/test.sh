#!/usr/bin/env bash
# Installs what the tests need, the real servers too, and runs all checks: fast ones first. Arguments go to pytest.
set -euo pipefail
# shellcheck source=deploy/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$top"

python=$(find_python)
# shellcheck disable=SC2046
need_packages libvirt-dev pkg-config gcc libc6-dev $(python_packages "$python") \
    libvirt-daemon libvirt-daemon-system libvirt-clients qemu-system-x86 busybox-static linux-image-cloud-amd64 cpio \
    debootstrap e2fsprogs \
    prometheus prometheus-alertmanager postgresql slurm-wlm slurmrestd slurm-wlm-jwt-plugin mailutils gridengine-master gridengine-exec gridengine-client \
    xrootd-server xrootd-client procps git systemd nodejs npm
need_venv "$python" test
export PYTHONDONTWRITEBYTECODE=1

if [ "$#" -gt 0 ]; then
    exec "$venv/bin/python" -m pytest "$@"
fi
say "style, types and walls"
"$venv/bin/ruff" check .
"$venv/bin/ruff" format --check .
"$venv/bin/mypy"
"$venv/bin/lint-imports"
say "tests without servers"
"$venv/bin/python" -m pytest -q -m "not testbed"
say "tests with real servers: libvirtd and QEMU guests, Prometheus, PostgreSQL, Slurm, Grid Engine, xrootd"
as_root env PYTHONDONTWRITEBYTECODE=1 "PATH=$PATH" "$venv/bin/python" -m pytest -q -p no:cacheprovider -m testbed
