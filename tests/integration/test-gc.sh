#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Hosts that crash, and what gc does and leaves alone: who may attach then, and
# that nothing leaks in the end.  Helpers that are killed: test-killed.sh.
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

# The number of an unmap that the kernel finished by itself is somebody else's now.
device_number_comes_back() { # device_number_comes_back gc|remove
	rbd create --size 10M image
	rbd create --size 10M other
	vbd_new 1 1 $DISK w 'rbd:image,mode=w!,timeout=10'
	rbd_add 1 1 $DISK
	# The client that they share lives on.
	vbd_new 1 9 $DISK w rbd:other
	rbd_add 1 9 $DISK
	cluster pause osd
	expect_fail vbd_gone 1 1 $DISK
	cluster resume osd
	eventually 30 is_unmapped image
	vbd_new 1 2 $DISK w 'rbd:image,mode=w!'
	rbd_add 1 2 $DISK
	expect_eq "$(vbd_read 1 2 $DISK physical-device-path)" /dev/rbd0
	if [[ $1 == gc ]]; then
		expect_match "$(gc 1 2>&1)" '1 cleaned up'
		expect_match "$(krbd 1 maps)" '^0 rbd/image@'
		vbd_gone 1 2 $DISK
	else
		# The newer one's remove knows that it is its own.
		vbd_gone 1 2 $DISK
		expect_no_match "$(krbd 1 maps)" 'rbd/image@'
		gc 1
	fi
	vbd_gone 1 9 $DISK
	nothing_left
}

is_unmapped() {
	! krbd 1 maps | grep -q "rbd/$1@"
}

# Killed while it was registered, and then the host was rebooted.
pending_of_an_earlier_boot() {
	rbd create --size 10M image
	vbd_new 1 1 $DISK w rbd:image
	XLRBD_WRAPPER="env LD_PRELOAD=$KEYSTUB:$("$LIB/built" killstub.so) KILL_AT=rados_mon_command:2" \
		expect_fail rbd_add 1 1 $DISK
	expect_match "$(lockers image)" ',pending,w,xen1,'
	host_crash 1
	host_start 1
	expect_match "$(gc 1 2>&1)" '1 cleaned up'
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
t "a host crashes, comes back and runs gc" crashed_host_comes_back gc
t "a host crashes, comes back and attaches" crashed_host_comes_back add
t "gc leaves the living, and others, alone" gc_leaves_the_living_alone
t "gc of another host that looks the same" twin_host
t "the cluster was gone at remove" cluster_was_gone_at_remove
t "a device number comes back, then gc" device_number_comes_back gc
t "a device number comes back, then remove" device_number_comes_back remove
t "an add of an earlier boot" pending_of_an_earlier_boot
t "arguments of gc" gc_arguments
summary
