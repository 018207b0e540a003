#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A cluster that does not answer, at every point of add and remove: an error
# in time, and what cannot be undone without the cluster is on record.
set -euo pipefail

# shellcheck source=tests/integration/functions.sh
source "$(dirname "$0")/functions.sh"

DISK=51712
# The deadlines are given; what a busy machine adds to them is not.  libxl's
# own end is at 40 s.
TIMEOUT=10
AT_MOST=$((TIMEOUT * 1000 + 5000))

refused_in_time() { # refused_in_time SENTENCE
	expect_fail rbd_add 1 1 $DISK
	expect_match "$(vbd_read 1 1 $DISK hotplug-error)" "$1"
	in_time
}

# expect_fail runs in a subshell, so the time is in what was printed.
in_time() {
	expect_match "$OUTPUT" 'exit 1, ([0-9]+) ms'
	[[ $OUTPUT =~ exit\ 1,\ ([0-9]+)\ ms ]]
	((BASH_REMATCH[1] <= AT_MOST)) || fail "took ${BASH_REMATCH[1]} ms"
	echo "note: ${BASH_REMATCH[1]} ms of $((TIMEOUT * 1000))"
}

no_monitors() {
	rbd create --size 10M web1
	vbd_new 1 1 $DISK w "rbd:web1,timeout=$TIMEOUT"
	cluster pause mon
	refused_in_time '^no monitor of /etc/ceph/ceph.conf \(.*10.78.0.1:6789.*\) answered in time; '
	vbd_gone 1 1 $DISK
	cluster resume mon
	nothing_left
}

no_osds() {
	rbd create --size 10M web1
	vbd_new 1 1 $DISK w "rbd:web1,timeout=$TIMEOUT"
	cluster pause osd
	refused_in_time '^open rbd/web1: the OSDs did not answer in time; '
	vbd_gone 1 1 $DISK
	cluster resume osd
	nothing_left
}

# The OSD goes while the kernel maps: the entry is there and cannot be taken
# back until it returns.
osds_gone_while_mapping() {
	rbd create --size 10M web1
	vbd_new 1 1 $DISK w "rbd:web1,timeout=$TIMEOUT"
	krbd 1 delay-map inf
	rbd_add 1 1 $DISK >"$WORLD/out" 2>&1 &
	local pid=$! rc=0
	eventually 10 pending_entry
	cluster pause osd
	wait $pid || rc=$?
	OUTPUT=$(<"$WORLD/out")
	expect_eq "$rc" 1
	in_time
	expect_match "$(vbd_read 1 1 $DISK hotplug-error)" "^map rbd/web1: the kernel's client got no answer"
	# What is left is on record, and the next remove finishes it.
	host 1 test -e "/run/xlrbd/vbd-1-$DISK"
	cluster resume osd
	# The request to take it back may have reached the OSD or not.
	vbd_gone 1 1 $DISK
	nothing_left
}

pending_entry() {
	lockers web1 | grep -q ',pending,'
}

# A map that the kernel never finishes is killed, and the kernel undoes it.
map_hangs() {
	rbd create --size 10M web1
	vbd_new 1 1 $DISK w "rbd:web1,timeout=$TIMEOUT"
	krbd 1 delay-map inf
	refused_in_time "^map rbd/web1: the kernel's client got no answer"
	vbd_gone 1 1 $DISK
	nothing_left
}

remove_without_cluster() { # remove_without_cluster WHO MODE SENTENCE
	rbd create --size 10M web1
	vbd_new 1 1 $DISK "$2" "rbd:web1,timeout=$TIMEOUT"
	rbd_add 1 1 $DISK
	cluster pause "$1"
	expect_fail vbd_gone 1 1 $DISK
	expect_match "$OUTPUT" "$3"
	in_time
	# libxl has forgotten the disk; this host has not.
	host 1 test -e "/run/xlrbd/vbd-1-$DISK"
	cluster resume "$1"
	expect_match "$(lockers web1)" ",held,$2,xen1,"
	rbd_remove 1 1 $DISK
	nothing_left
}

unmap_hangs() {
	rbd create --size 10M web1
	vbd_new 1 1 $DISK w "rbd:web1,timeout=$TIMEOUT"
	rbd_add 1 1 $DISK
	krbd 1 delay-unmap inf
	expect_fail vbd_gone 1 1 $DISK
	expect_match "$OUTPUT" 'unmap /dev/rbd0 \(rbd/web1\): the kernel did not finish in time'
	in_time
	krbd 1 release
	rbd_remove 1 1 $DISK
	nothing_left
}

world_start 1
t "all monitors are silent" no_monitors
t "the OSDs are silent" no_osds
t "the OSDs fall silent during the map" osds_gone_while_mapping
t "the kernel's map hangs" map_hangs
t "remove while the monitors are silent" remove_without_cluster mon w 'no monitor of /etc/ceph/ceph.conf'
t "remove while the OSDs are silent" remove_without_cluster osd w \
	'unmap /dev/rbd0 \(rbd/web1\): the kernel did not finish in time'
t "remove of a read-only disk while the OSDs are silent" remove_without_cluster osd r \
	'withdraw the lock entry of rbd/web1: the OSDs did not answer in time'
t "the kernel's unmap hangs" unmap_hangs
summary
