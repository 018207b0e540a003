# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# lab deps: what this machine needs before it can build and run a lab.

# Asked by program, not by package: quick, and a tool that came from somewhere else is as good.
deps_missing() {
	local need

	for need in "${LAB_NEEDS[@]}"; do
		command -v "${need%%:*}" >/dev/null || echo "${need#*:}"
	done
}

lab_deps() {
	local missing

	PATH=$PATH:/usr/sbin:/sbin
	mapfile -t missing < <(deps_missing)
	((${#missing[@]})) || return 0
	need_root
	step "installing ${missing[*]}" deps_install "${missing[@]}"
}

deps_install() {
	local log
	log=$(mktemp)

	# Nothing installed here may start a daemon on this machine: Ceph's packages otherwise would.
	if ! { apt-get update && DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
		apt-get install -y --no-install-recommends "$@"; } >"$log" 2>&1 </dev/null; then
		tail -n 20 "$log" >&2
		rm -f "$log"
		die "apt-get could not install: $*"
	fi
	rm -f "$log"
}
