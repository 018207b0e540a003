# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# The life of a lab: build, up, down, with, status.

# One at a time per cache and per state directory; 9 is closed in everything that stays behind.
lock() {
	mkdir -p "$(dirname "$1")"
	exec 9>"$1"
	flock -n 9 || {
		say "waiting for another lab that works on ${1%.lock}"
		flock 9
	}
}

unlock() {
	exec 9>&-
}

lab_build() {
	lab_deps
	image_find
	# Nothing to do is the usual case, and needs neither root nor lock.
	LAB_BOOT=$LAB_IMAGE/boot-$(boot_key)
	[[ ! -d $LAB_BOOT ]] || return 0
	need_root
	[[ $(uname -m) == x86_64 ]] || die "Xen's PV guests and this lab's emulation need x86-64"
	lock "$LAB_CACHE/lock"
	image_build
	boot_build
	build_prune
	unlock
}

# What earlier builds left, except what a running lab's hosts were started from: they may be switched off and on again.
build_prune() {
	local old

	for old in "$LAB_CACHE"/building.* "$LAB_CACHE"/image-* "$LAB_IMAGE"/boot*; do
		case $old in
		"$LAB_IMAGE" | "$LAB_BOOT") continue ;;
		esac
		grep -qsF -- "$old" /proc/[0-9]*/cmdline || rm -rf --one-file-system "$old"
	done
}

hosts_number() {
	[[ $1 =~ ^[1-9]$ && $1 -le $LAB_MAX_HOSTS ]] || die "1 to $LAB_MAX_HOSTS hosts, not $1"
}

lab_up() {
	hosts_number "${1:-1}"
	up_prepare
	trap down_all EXIT
	up_all "${1:-1}"
	trap - EXIT
}

# All that may take long and leaves nothing to be taken down.
up_prepare() {
	need_root
	lab_build
	accel_choose
	[[ -x $LAB_CLUSTER ]] || die "no $LAB_CLUSTER"
	lock "$LAB_DIR.lock"
	if [[ -d $LAB_DIR ]]; then
		[[ -z $(hosts_up) ]] || die "a lab is up already: $(hosts_up | xargs); see lab down"
		down_all
	fi
}

up_all() {
	local hosts=$1 n start=$SECONDS

	mkdir -m 0700 "$LAB_DIR"
	# power-on must come back with what up began with, whatever was built since.
	printf '%s=%q\n' LAB_ACCEL "$LAB_ACCEL" LAB_IMAGE "$LAB_IMAGE" LAB_BOOT "$LAB_BOOT" >"$LAB_DIR/settings"
	ssh_config >"$LAB_DIR/ssh_config"
	network_up "$hosts"
	for ((n = 1; n <= hosts; n++)); do
		host_disk "xen$n"
	done
	say "starting $hosts host(s) with $LAB_ACCEL ..."
	for ((n = 1; n <= hosts; n++)); do
		host_start "xen$n" || { host_blame "xen$n" && die "xen$n: QEMU does not start"; }
	done
	step "starting Ceph" up_ceph
	for ((n = 1; n <= hosts; n++)); do
		host_wait "xen$n" $((start + LAB_BOOT_LIMIT)) || { host_blame "xen$n" && die "xen$n did not come up"; }
		host_configure "xen$n"
	done
	unlock
	say "up after $((SECONDS - start)) s"
}

up_ceph() {
	in_ns "$LAB_CLUSTER" start "$LAB_CEPH" "$LAB_CEPH_ADDRESS" >"$LAB_DIR/ceph.log" 2>&1 9>&- || {
		tail -n 30 "$LAB_DIR/ceph.log" >&2
		die "Ceph does not start"
	}
}

down_all() {
	local host pid

	trap '' INT TERM
	for host in $(hosts_all); do
		host_kill "$host"
	done
	[[ ! -d $LAB_CEPH ]] || "$LAB_CLUSTER" stop "$LAB_CEPH" >/dev/null 2>&1 || say "Ceph did not stop cleanly"
	# The namespace is the lab's own: what is still in it was started by a lab command, such as a client of a
	# cluster that a test had paused.
	for pid in $(ip netns pids "$LAB_NS" 2>/dev/null); do
		kill -KILL "$pid" 2>/dev/null || :
	done
	network_down
	# Out of sight first: a command that comes just now must find no lab, not half of one.
	if [[ -d $LAB_DIR ]]; then
		mv "$LAB_DIR" "$LAB_DIR.$$"
		rm -rf "$LAB_DIR.$$"
	fi
}

lab_down() {
	need_root
	lock "$LAB_DIR.lock"
	down_all
	unlock
}

# lab with [N] COMMAND...: a lab for the time of one command.
lab_with() {
	local hosts=1 rc=0 pid

	if [[ ${1:-} =~ ^[0-9]+$ ]]; then
		hosts=$1
		shift
	fi
	hosts_number "$hosts"
	(($#)) || die "with: which command?"
	up_prepare
	trap down_all EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	up_all "$hosts"
	if [[ -t 0 ]]; then
		# Somebody looks around in the lab: the command keeps the terminal and its Ctrl-C.
		trap : INT
		"$@" || rc=$?
	else
		# In the background, in a group of its own: bash acts on a signal only between commands, and all that the
		# command has started must end with it.
		exec 8<&0
		set -m
		"$@" <&8 8<&- &
		pid=$!
		set +m
		trap 'with_stop '$pid' 130' INT
		trap 'with_stop '$pid' 143' TERM
		wait "$pid" || rc=$?
	fi
	exit "$rc"
}

with_stop() {
	trap '' INT TERM
	say "stopping"
	kill -TERM -- "-$1" 2>/dev/null || :
	wait "$1" || :
	exit "$2"
}

lab_status() {
	local host pid state

	[[ -d $LAB_DIR ]] || { echo "down" && return 1; }
	# shellcheck source=/dev/null
	(. "$LAB_DIR/settings" && echo "up in $LAB_DIR, namespace $LAB_NS, $LAB_ACCEL")
	for host in $(hosts_all); do
		state=off
		if pid_alive "$LAB_DIR/$host.pid"; then
			pid=$(<"$LAB_DIR/$host.pid")
			state=on
			[[ $(ps -o stat= -p "$pid") != T* ]] || state=frozen
		fi
		ip -n "$LAB_NS" -o link show "s${host#xen}" | grep -q '[<,]UP[,>]' || state="$state, cut from Ceph"
		echo "$host: $state"
	done
}

# lab cluster pause|resume|kill|restart mon|osd
lab_cluster() {
	[[ -d $LAB_CEPH ]] || die "no lab is up; see lab up"
	[[ ${1:-} =~ ^(pause|resume|kill|restart)$ && ${2:-} =~ ^(mon|osd)$ ]] ||
		die "cluster: pause, resume, kill or restart; mon or osd"
	in_ns "$LAB_CLUSTER" "$1" "$LAB_CEPH" "$2"
}

# lab ceph PROGRAM ARGUMENT...: as admin, beside the cluster.
lab_ceph() {
	[[ -d $LAB_CEPH ]] || die "no lab is up; see lab up"
	in_ns env "CEPH_CONF=$LAB_CEPH/ceph.conf" "CEPH_KEYRING=$LAB_CEPH/ceph.client.admin.keyring" \
		"CEPH_ARGS=--conf $LAB_CEPH/ceph.conf --keyring $LAB_CEPH/ceph.client.admin.keyring" "$@"
}
