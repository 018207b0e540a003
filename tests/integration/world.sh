# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# The cluster and the hosts.  Plain `rbd`, `rados` and `ceph` in a test are
# the administrator's; on the hosts there is client.xen only.
#
#	world_start [HOSTS]	one host unless told
#	host N COMMAND...	runs a command on host N
#	cluster pause|resume|kill|restart mon|osd
#	host_cut N, host_join N	pulls the network cable, plugs it in
#	host_crash N		power off, without a word to anybody
#	host_start N		boots it: same host, new boot id, nothing in /run
#	krbd N COMMAND...	the stand-in's side door, see lib/standin-ctl.c
#	nothing_left		fails if a test has left something behind

WORLD_HOSTS=0

world_start() {
	local n

	prepare_build
	ip link set lo up
	# A bridge without an address of its own takes that of a port, another
	# one when a host goes, and the others' ARP entries lead nowhere.
	ip link add br0 address 02:00:0a:4e:00:01 type bridge
	ip addr add 10.78.0.1/24 dev br0
	ip link set br0 up
	"$LIB/cluster" start "$WORLD/ceph" 10.78.0.1
	mount -t tmpfs -o mode=0755 tmpfs /etc/ceph
	cp "$WORLD/ceph/ceph.conf" "$WORLD/ceph/ceph.client.admin.keyring" \
		/etc/ceph/
	for ((n = 1; n <= ${1:-1}; n++)); do
		host_start "$n"
	done
}

# What is not built yet is built for this run only.
prepare_build() {
	if ! "$LIB/built" standin-krbd >/dev/null 2>&1; then
		"$LIB/build.sh" "$WORLD/testlib"
		export XLRBD_TESTLIB=$WORLD/testlib
	fi
	STANDIN=$("$LIB/built" standin-krbd)
	# shellcheck disable=SC2034 # vbd.sh, tests
	KEYSTUB=$("$LIB/built" keystub.so)
}

world_stop() {
	local rc=$? n

	trap - EXIT
	for ((n = 1; n <= WORLD_HOSTS; n++)); do
		host_crash "$n"
	done
	[[ ! -e $WORLD/ceph ]] || "$LIB/cluster" stop "$WORLD/ceph"
	if [[ -n ${XLRBD_KEEP:-} ]]; then
		mkdir -p "$XLRBD_KEEP"
		cp -r "$WORLD"/ceph/log "$WORLD"/host* "$XLRBD_KEEP" \
			2>/dev/null || true
	fi
	exit "$rc"
}

# Fresh hosts and an empty pool; cheaper than a fresh cluster.
world_reset() {
	local n who

	for who in mon osd; do
		"$LIB/cluster" resume "$WORLD/ceph" "$who" 2>/dev/null ||
			"$LIB/cluster" restart "$WORLD/ceph" "$who"
	done
	for ((n = 1; n <= WORLD_HOSTS; n++)); do
		host_crash "$n"
	done
	rados purge rbd --yes-i-really-really-mean-it >/dev/null
	ceph osd blocklist clear >/dev/null 2>&1
	for ((n = 1; n <= WORLD_HOSTS; n++)); do
		host_start "$n"
	done
}

cluster() { # cluster pause|resume|kill|restart mon|osd
	"$LIB/cluster" "$1" "$WORLD/ceph" "$2"
}

host_pid() {
	cat "$WORLD/host$1/pid"
}

host_ready() {
	[[ -e $WORLD/host$1/ready ]] || {
		kill -0 "$(host_pid "$1")" 2>/dev/null ||
			{ cat "$WORLD/host$1/log" >&2; exit 1; }
		return 1
	}
}

host_start() { # host_start N
	local dir=$WORLD/host$1

	rm -rf "$dir"
	mkdir "$dir"
	setsid unshare --mount --net --uts -- "$LIB/host" "$dir" "$1" \
		>"$dir/log" 2>&1 </dev/null &
	echo $! >"$dir/pid"
	disown
	until host_ready "$1"; do
		sleep 0.01
	done
	(($1 <= WORLD_HOSTS)) || WORLD_HOSTS=$1
}

# Every process in the host's mount namespace.
host_processes() {
	local pid process

	pid=$(host_pid "$1")
	for process in /proc/[0-9]*; do
		[[ ! $process/ns/mnt -ef /proc/$pid/ns/mnt ]] ||
			echo "${process#/proc/}"
	done
}

host_crash() { # host_crash N
	local pids

	[[ -e $WORLD/host$1/pid && -e /proc/$(host_pid "$1")/ns/mnt ]] ||
		return 0
	# First the network: a switched off machine does not close connections.
	host_cut "$1"
	mapfile -t pids < <(host_processes "$1")
	kill -KILL "${pids[@]}" 2>/dev/null || true
	while kill -0 "$(host_pid "$1")" 2>/dev/null; do
		sleep 0.01
	done
	# The namespace takes its end of the cable with it, in its own time.
	while ip link show "host$1" >/dev/null 2>&1; do
		ip link del "host$1" 2>/dev/null || sleep 0.01
	done
}

host_cut() { # host_cut N
	ip link set "host$1" down 2>/dev/null || true
}

host_join() { # host_join N
	ip link set "host$1" up
}

host() { # host N COMMAND...
	local dir=$WORLD/host$1 pid

	pid=$(host_pid "$1")
	shift
	nsenter -t "$pid" -m -n -u -- env XENSTORED_PATH="$dir/xenstored/socket" \
		STANDIN_KRBD="$dir/krbd.sock" "$@"
}

krbd() { # krbd N COMMAND...
	local dir=$WORLD/host$1

	shift
	"$STANDIN" -c "$dir/krbd.sock" "$@"
}

image_header() { # image_header IMAGE-SPEC: the object that locks are on
	local info

	info=$(rbd info --format json "$1")
	[[ $info =~ \"id\":\"([^\"]*)\" ]] || fail "rbd info $1: $info"
	echo "rbd_header.${BASH_REMATCH[1]}"
}

# The locks that somebody holds, as JSON, one line each; also of images in a
# namespace: lockers rbd/NAMESPACE/IMAGE
lockers() {
	local header name ns=''

	header=$(image_header "$1")
	[[ $1 != */*/* ]] || ns=$(cut -d / -f 2 <<<"$1")
	for name in $(rados -p rbd -N "$ns" lock list "$header" |
		grep -o '"name":"[^"]*"' | cut -d '"' -f 4); do
		rados -p rbd -N "$ns" lock info "$header" "$name"
		echo
		# A lock that nobody holds any more stays there, empty.
	done | grep -v '"lockers":\[\]' || true
}

watchers() { # watchers IMAGE-SPEC: "ADDRESS" lines
	rbd status "$1" | sed -n 's/.*watcher=\([^ ]*\).*/\1/p'
}

# A line for each thing that should not be there any more.
leftovers() {
	local n

	for ((n = 1; n <= WORLD_HOSTS; n++)); do
		krbd "$n" maps | sed "s/^/host $n maps /"
		host "$n" find "${XLRBD_RUNDIR:-/run/xlrbd}" -name 'vbd-*' \
			2>/dev/null | sed "s/^/host $n has /" || true
		host "$n" find /sys/bus/xen-backend/devices -mindepth 1 |
			sed "s/^/host $n has /"
		host "$n" xenstore-ls -f | grep -v -e '^/tool' -e '^/local =' \
			-e '^/local/domain =' -e '^/local/domain/0[ /]' |
			sed "s/^/host $n has node /" || true
		host "$n" xenstore-ls -f /local/domain/0/backend 2>/dev/null |
			sed "s/^/host $n has node /" || true
	done
	"$LIB/held" /etc/ceph/ceph.conf /etc/ceph/ceph.client.admin.keyring rbd
}

nothing_left() {
	local found

	found=$(leftovers)
	[[ -z $found ]] || fail "left behind:"$'\n'"$found"
}
