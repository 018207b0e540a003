# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Talking to the person in front of the lab, and small things everybody needs.

# Progress goes to stderr: stdout belongs to what was asked for.
say() {
	printf 'lab: %s\n' "$*" >&2
}

die() {
	say "$*"
	exit 1
}

# step WHAT COMMAND...: a line before, so that one knows what is waited for, and one after, with the seconds.
step() {
	local what=$1 start=$SECONDS
	shift

	say "$what ..."
	"$@"
	say "$what: $((SECONDS - start)) s"
}

need_root() {
	[[ $EUID -eq 0 ]] || die "needs root: it makes network namespaces and runs Ceph"
}

# A pid file outlives its process, and pids are used again: only a process that names our directory is ours.
pid_alive() {
	local pid

	[[ -s $1 ]] || return 1
	pid=$(<"$1")
	tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF -- "$LAB_DIR"
}
