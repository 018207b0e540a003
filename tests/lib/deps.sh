#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Installs the Debian packages that are missing; says nothing and takes no
# time when none is.
#
#	deps.sh build          to build everything and to run `make check`
#	deps.sh integration    to run tests/integration as well
set -euo pipefail

build=(
	autoconf automake libtool make gcc libc6-dev pkg-config
	librados-dev librbd-dev libxen-dev libkeyutils-dev libinih-dev
	libjansson-dev libsmartcols-dev check
)
# fuse3 and the daemons to run; libfuse3-dev since `make check` builds the
# stand-in for krbd.
integration=(
	libfuse3-dev fuse3 ceph-mon ceph-osd ceph-common python3-rados python3-rbd
	xenstore-utils iproute2 util-linux procps valgrind jq xxd mandoc shellcheck strace
)

# One per Xen release, named after it; Debian has one at a time.
xen_utils() {
	apt-cache search --names-only '^xen-utils-[0-9.]+$' | cut -d ' ' -f 1 |
		sort -V | tail -n 1
}

is_installed() {
	[[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == \
		installed ]]
}

is_known() {
	apt-cache show "$1" >/dev/null 2>&1
}

missing_of() {
	local package
	for package; do
		is_installed "$package" || echo "$package"
	done
}

case ${1:-} in
build) wanted=("${build[@]}") ;;
integration) wanted=("${build[@]}" "${integration[@]}") ;;
*)
	echo "usage: deps.sh build|integration" >&2
	exit 2
	;;
esac

mapfile -t missing < <(missing_of "${wanted[@]}")
need_xen=
if [[ $1 == integration ]] && ! compgen -G '/usr/lib/xen-*/bin/xenstored' \
	>/dev/null; then
	need_xen=1
fi
[[ ${#missing[@]} -gt 0 || -n $need_xen ]] || exit 0

if [[ $EUID -ne 0 ]]; then
	echo "missing: ${missing[*]}${need_xen:+ xen-utils-VERSION}" >&2
	exit 1
fi
for package in "${missing[@]}" ${need_xen:+xenstore-utils}; do
	is_known "$package" || { apt-get update -qq; break; }
done
[[ -z $need_xen ]] || missing+=("$(xen_utils)")
# Daemons of these packages are started by the tests, never by the system.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
	trap 'rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod +x "$policy"
fi
DEBIAN_FRONTEND=noninteractive apt-get install -qq -y \
	--no-install-recommends "${missing[@]}" >/dev/null
