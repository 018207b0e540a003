#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Helpers that are killed, hosts that crash: what is left, who may attach
# then, and that nothing leaks in the end.
set -euo pipefail

# shellcheck source=tests/integration/functions.sh
source "$(dirname "$0")/functions.sh"

DISK=51712

gc() { # gc HOST [ARGUMENT...]
	local program host=$1

	shift
	program=$(find_block_rbd)
	host "$host" env LD_PRELOAD="$KEYSTUB" \
		LD_LIBRARY_PATH="$(dirname "$program")/../../libxlrbd/.libs" \
		"$program" gc "$@"
}

# Where a helper is killed: at the entry of a system call, the nth of its kind.
# Records are renamed into place, so these are the seams between the steps.
declare -A KILL_POINTS=(
	[before-anything]=flock:1
	[before-registering]=rename:1
	[registered]=rename:2
	[mapped]=rename:3
)
ORDER=(before-anything before-registering registered mapped held publishing)

# What comes later is talking to xenstored, which takes two rt_sigaction() a
# request: which of them are behind the last record is looked up in an add that
# lives.
find_late_points() {
	local first last

	rbd create --size 10M image
	vbd_new 1 1 $DISK w rbd:image
	XLRBD_WRAPPER="strace -o $WORLD/trace" rbd_add 1 1 $DISK 2>/dev/null
	vbd_gone 1 1 $DISK 2>/dev/null
	read -r first last < <(awk '/^rename/ { renames++ }
		/^rt_sigaction/ { n++; if (renames == 3 && !first) first = n; last = n }
		END { print first, last }' "$WORLD/trace")
	rbd rm --no-progress image
	KILL_POINTS[held]=rt_sigaction:$first
	# The one before the commit, which is the last request.
	KILL_POINTS[publishing]=rt_sigaction:$((last - 1))
}

killed_add() { # killed_add POINT: on host 1, vbd 1/DISK
	local point=${KILL_POINTS[$1]}

	XLRBD_WRAPPER="strace -qqq -o /dev/null -e trace=${point%:*} -e inject=${point%:*}:signal=KILL:when=${point#*:}" \
		expect_fail rbd_add 1 1 $DISK
	expect_match "$OUTPUT" 'exit 137'
	expect_eq "$(vbd_read 1 1 $DISK physical-device)" ""
}

# What a second host's add meets then.
outcome_elsewhere() { # outcome_elsewhere POINT
	vbd_new 2 2 $DISK w rbd:image,timeout=10
	if rbd_add 2 2 $DISK 2>/dev/null; then
		echo attached
	else
		vbd_read 2 2 $DISK hotplug-error |
			sed -E 's/.*(held|being attached) for.*on host (xen[0-9]).*/\1 by \2/'
	fi
	vbd_gone 2 2 $DISK 2>/dev/null
}

killed_then() { # killed_then POINT WHAT EXPECTED-ELSEWHERE
	local elsewhere

	rbd create --size 10M image
	vbd_new 1 1 $DISK w rbd:image
	killed_add "$1"
	elsewhere=$(outcome_elsewhere "$1")
	expect_eq "$elsewhere" "$3" "another host's add"
	case $2 in
	add) # The same add again, as by a second block-attach.
		rbd_add 1 1 $DISK
		expect_eq "$(krbd 1 maps | wc -l)" 1 "mappings after add"
		expect_eq "$(lockers image | grep -o xlrbd1 | wc -l)" 1 "entries after add"
		vbd_gone 1 1 $DISK
		;;
	remove) # libxl destroys the domain.
		vbd_gone 1 1 $DISK
		;;
	gc) # libxl wiped the nodes without a word.
		vbd_forget 1 1 $DISK
		gc 1
		;;
	other-domain) # The nodes are wiped, and the image is wanted again.
		vbd_forget 1 1 $DISK
		vbd_new 1 3 $DISK w rbd:image
		rbd_add 1 3 $DISK
		expect_eq "$(krbd 1 maps | wc -l)" 1 "mappings after add"
		vbd_gone 1 3 $DISK
		# Of a helper that had nothing yet, its empty lock file.
		gc 1 >/dev/null
		;;
	esac
	nothing_left
	echo "note: $(printf '%-20s then %-13s elsewhere: %s' "$1" "$2:" "$elsewhere")"
}

crashed_host_comes_back() { # crashed_host_comes_back HOW
	rbd create --size 10M image
	vbd_new 1 1 $DISK w rbd:image
	rbd_add 1 1 $DISK
	blkback_open 1 1 $DISK
	host_crash 1
	vbd_new 2 2 $DISK w rbd:image
	expect_fail rbd_add 2 2 $DISK
	expect_match "$(vbd_read 2 2 $DISK hotplug-error)" 'held for writing by domain vm1 .* on host xen1'
	# Time does not make it anybody else's.
	gc 2
	expect_match "$(lockers image)" ',held,w,xen1,'
	host_start 1
	# Its watch is there until it expires: until then nobody knows.
	eventually 60 watch_is_gone
	if [[ $1 == gc ]]; then
		expect_match "$(gc 1 2>&1)" '1 cleaned up'
	else
		vbd_new 1 4 $DISK w rbd:image
		rbd_add 1 4 $DISK
		expect_no_match "$(lockers image)" ',1,51712,'
		vbd_gone 1 4 $DISK
	fi
	rbd_add 2 2 $DISK
	vbd_gone 2 2 $DISK
	nothing_left
}

watch_is_gone() {
	[[ -z $(watchers image) ]]
}

gc_leaves_the_living_alone() {
	rbd create --size 10M image
	rbd create --size 10M other
	vbd_new 1 1 $DISK w rbd:image
	rbd_add 1 1 $DISK
	blkback_open 1 1 $DISK
	vbd_new 2 1 $DISK r rbd:other
	rbd_add 2 1 $DISK
	# And a mapping that is not ours at all.
	host 1 bash -c "echo '10.78.0.1:6789 name=xen,secret=$(
		ceph-authtool -p -n client.xen "$WORLD/ceph/ceph.client.xen.keyring"
	),ro rbd other -' >/sys/bus/rbd/add_single_major"
	for host in 1 2; do
		expect_eq "$(gc $host)" "rbd: 0 cleaned up"
	done
	expect_eq "$(krbd 1 maps | wc -l)" 2
	expect_match "$(lockers image)" ',held,w,xen1,'
	expect_match "$(lockers other)" ',held,r,xen2,'
	host 1 bash -c 'echo 1 >/sys/bus/rbd/remove_single_major'
	blkback_close 1 1 $DISK
	vbd_gone 1 1 $DISK
	vbd_gone 2 1 $DISK
	nothing_left
}

# Another dom0, installed from the same image and named the same.
twin_host() {
	rbd create --size 10M image
	vbd_new 1 1 $DISK w rbd:image
	rbd_add 1 1 $DISK
	host 2 hostname xen1
	host 2 bash -c 'mount --bind <(printf "%032x\n" 1) /etc/machine-id 2>/dev/null || {
		printf "%032x\n" 1 >/run/id && mount --bind /run/id /etc/machine-id; }'
	expect_eq "$(gc 2)" "rbd: 0 cleaned up"
	vbd_new 2 2 $DISK w rbd:image
	expect_fail rbd_add 2 2 $DISK
	expect_match "$(lockers image)" ',held,w,xen1,'
	vbd_gone 2 2 $DISK
	host 2 umount /etc/machine-id
	host 2 rm -f /run/id
	host 2 hostname xen2
	vbd_gone 1 1 $DISK
	nothing_left
}

cluster_was_gone_at_remove() {
	rbd create --size 10M image
	vbd_new 1 1 $DISK w rbd:image,timeout=10
	rbd_add 1 1 $DISK
	cluster pause mon
	expect_fail vbd_gone 1 1 $DISK
	expect_fail gc 1
	expect_match "$OUTPUT" 'no monitor of /etc/ceph/ceph.conf'
	cluster resume mon
	gc 1
	nothing_left
}

gc_arguments() {
	rbd namespace create rbd/team
	expect_eq "$(gc 1 rbd rbd/team)" $'rbd: 0 cleaned up\nrbd/team: 0 cleaned up'
	expect_eq "$(gc 1 --id xen --conf /etc/ceph/ceph.conf rbd)" "rbd: 0 cleaned up"
	expect_fail gc 1 nopool rbd
	expect_match "$OUTPUT" 'no pool "nopool"'
	expect_match "$OUTPUT" 'rbd: 0 cleaned up'
	expect_fail gc 1 --nonsense
	expect_match "$OUTPUT" 'usage: block-rbd'
	rbd namespace rm rbd/team
}

world_start 2
find_late_points
for point in "${ORDER[@]}"; do
	case $point in
	before-anything | before-registering) elsewhere=attached ;;
	registered | mapped) elsewhere="being attached by xen1" ;;
	held | publishing) elsewhere="held by xen1" ;;
	esac
	for what in add remove gc other-domain; do
		t "helper killed: $point, then $what" killed_then "$point" "$what" "$elsewhere"
	done
done
t "a host crashes, comes back and runs gc" crashed_host_comes_back gc
t "a host crashes, comes back and attaches" crashed_host_comes_back add
t "gc leaves the living, and others, alone" gc_leaves_the_living_alone
t "gc of another host that looks the same" twin_host
t "the cluster was gone at remove" cluster_was_gone_at_remove
t "arguments of gc" gc_arguments
summary
