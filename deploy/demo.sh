#!/usr/bin/env bash
# Installs what the controller needs and plays the main job on libvirt's test driver. Arguments go to `autoscaler demo`.
set -euo pipefail
# shellcheck source=deploy/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

python=$(find_python)
# shellcheck disable=SC2046
need_packages libvirt-dev pkg-config gcc libc6-dev $(python_packages "$python")
need_venv "$python" controller
say "a synthetic day of PROOF sessions on three hosts"
exec "$venv/bin/autoscaler" demo "$@"
