#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# add and remove against a real cluster and a real xenstored.
set -euo pipefail

# shellcheck source=tests/integration/functions.sh
source "$(dirname "$0")/functions.sh"

DISK=51712

attach() { # attach HOST DOMID MODE TARGET [DEVID]
	vbd_new "$1" "$2" "${5:-$DISK}" "$3" "$4"
	rbd_add "$1" "$2" "${5:-$DISK}"
}

attribute() { # attribute HOST ID NAME
	host "$1" cat "/sys/bus/rbd/devices/$2/$3"
}

attaches_and_detaches() { # attaches_and_detaches LOCK FEATURE...
	local lock=$1
	shift

	rbd create --size 10M "${@/#/--image-feature=}" web1
	attach 1 1 w rbd:web1
	expect_eq "$(vbd_read 1 1 $DISK physical-device-path)" /dev/rbd0
	expect_eq "$(vbd_read 1 1 $DISK physical-device)" \
		"$(printf '%x:%x' "$(attribute 1 0 major)" "$(attribute 1 0 minor)")"
	expect_eq "$(vbd_read 1 1 $DISK hotplug-status)" connected
	expect_match "$(lockers web1)" "\"name\":\"$lock\",\"type\":\"shared\",\"tag\":\"xlrbd\""
	expect_match "$(lockers web1)" "xlrbd1,held,w,xen1,[0-9a-f]{32},[0-9a-f-]{36},1,$DISK,$(default_uuid 1 1),[0-9]+,$(attribute 1 0 client_addr),,vm1\""
	expect_no_match "$(lockers web1)" pending
	expect_eq "$(watchers web1)" "$(attribute 1 0 client_addr)"
	blkback_open 1 1 $DISK
	blkback_close 1 1 $DISK
	vbd_gone 1 1 $DISK
	nothing_left
}

read_only_maps_are_read_only() {
	rbd create --size 10M web1
	attach 1 1 r rbd:web1
	expect_match "$(attribute 1 0 config_info)" ',ro[ ,]'
	expect_eq "$(watchers web1)" ""
	expect_match "$(lockers web1)" ',held,r,xen1,'
	vbd_gone 1 1 $DISK
	nothing_left
}

snapshots_and_namespaces() {
	rbd namespace create rbd/team
	rbd create --size 10M rbd/team/web1
	rbd snap create --no-progress rbd/team/web1@v1
	attach 1 1 r rbd/team:web1@v1
	expect_eq "$(attribute 1 0 current_snap)" v1
	expect_eq "$(attribute 1 0 pool_ns)" team
	# Its image may be written at the same time.
	attach 1 2 w rbd/team/web1
	expect_match "$(lockers rbd/team/web1)" ',v1,vm1"'
	vbd_gone 1 2 $DISK
	vbd_gone 1 1 $DISK
	expect_eq "$(lockers rbd/team/web1)" ""
	rbd snap purge --no-progress rbd/team/web1
	rbd rm --no-progress rbd/team/web1
	rbd namespace rm rbd/team
	nothing_left
}

options_reach_the_kernel() {
	rbd create --size 10M web1
	attach 1 1 w rbd:web1,map=queue_depth=64,map=noshare,timeout=20,conf=/etc/ceph/ceph.conf,id=xen
	expect_match "$(attribute 1 0 config_info)" 'name=xen,key=client.xen,.*queue_depth=64,noshare '
	vbd_gone 1 1 $DISK
	# The newer messenger has other addresses.
	attach 1 1 w rbd:web1,map=ms_mode=crc
	expect_match "$(attribute 1 0 config_info)" '^10.78.0.1:3300 .*ms_mode=crc'
	vbd_gone 1 1 $DISK
	nothing_left
}

names_with_odd_characters() {
	rbd create --size 10M 'a:b,c%é'
	attach 1 1 w 'rbd:a%3Ab%2Cc%25é'
	expect_eq "$(attribute 1 0 name)" 'a:b,c%é'
	vbd_gone 1 1 $DISK
	nothing_left
}

domain_0() {
	rbd create --size 10M web1
	# As for pygrub: no /vm, and no name of its own.
	attach 1 0 w rbd:web1
	expect_match "$(lockers web1)" ",0,$DISK,00000000-0000-0000-0000-000000000000,.*,Domain-0\""
	vbd_gone 1 0 $DISK
	nothing_left
}

many_at_once() {
	local i pids=()

	for i in 0 1 2 3; do
		rbd create --size 10M "many$i"
		vbd_new 1 1 $((DISK + 16 * i)) w "rbd:many$i"
	done
	for i in 0 1 2 3; do
		rbd_add 1 1 $((DISK + 16 * i)) &
		pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i"; done
	for i in 0 1 2 3; do
		expect_match "$(lockers "many$i")" ",held,w,xen1,.*,1,$((DISK + 16 * i)),"
	done
	expect_eq "$(krbd 1 maps | wc -l)" 4
	pids=()
	for i in 0 1 2 3; do
		vbd_gone 1 1 $((DISK + 16 * i)) &
		pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i"; done
	nothing_left
}

one_image_twice_on_a_host() {
	local i pids=()

	rbd create --size 10M tools
	for i in 1 2 3 4; do
		vbd_new 1 "$i" $DISK r rbd:tools
	done
	for i in 1 2 3 4; do
		rbd_add 1 "$i" $DISK &
		pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i"; done
	# Four domains, four mappings, each its own.
	expect_eq "$(for i in 1 2 3 4; do
		vbd_read 1 "$i" $DISK physical-device-path
	done | sort -u | wc -l)" 4
	for i in 1 2 3 4; do
		vbd_gone 1 "$i" $DISK
		expect_eq "$(krbd 1 maps | wc -l)" $((4 - i))
	done
	nothing_left
}

add_twice() {
	local before

	rbd create --size 10M web1
	attach 1 1 w rbd:web1
	before=$(lockers web1)
	rbd_add 1 1 $DISK
	expect_eq "$(lockers web1)" "$before"
	vbd_gone 1 1 $DISK
	nothing_left
}

add_again_after_a_lost_one() {
	rbd create --size 10M web1
	attach 1 1 w rbd:web1
	# As if the first had been killed right before it could publish.
	xs 1 rm "$(backend_path 1 $DISK)/physical-device" "$(backend_path 1 $DISK)/hotplug-status"
	rbd_add 1 1 $DISK
	expect_eq "$(krbd 1 maps | wc -l)" 1
	expect_eq "$(lockers web1 | grep -o xlrbd1 | wc -l)" 1
	vbd_gone 1 1 $DISK
	nothing_left
}

remove_twice_and_of_nothing() {
	rbd create --size 10M web1
	attach 1 1 w rbd:web1
	rbd_remove 1 1 $DISK
	rbd_remove 1 1 $DISK
	rbd_remove 1 77 $DISK
	vbd_gone 1 1 $DISK
	# No add was ever run for this one.
	vbd_new 1 2 $DISK w rbd:web1
	vbd_gone 1 2 $DISK
	nothing_left
}

remove_waits_for_blkback() {
	rbd create --size 10M web1
	attach 1 1 w rbd:web1
	blkback_open 1 1 $DISK
	(sleep 1 && blkback_close 1 1 $DISK) &
	vbd_gone 1 1 $DISK
	wait $!
	((MS >= 1000)) || fail "did not wait: $MS ms"
	nothing_left
}

# blkback's sysfs device is gone, its last reference to the disk not yet.
remove_survives_ebusy() {
	rbd create --size 10M web1
	attach 1 1 w rbd:web1
	krbd 1 open 0
	(sleep 1 && krbd 1 close 0) &
	vbd_gone 1 1 $DISK
	wait $!
	((MS >= 1000)) || fail "did not wait: $MS ms"
	nothing_left
}

remove_gives_up_and_can_be_repeated() {
	rbd create --size 10M web1
	attach 1 1 w rbd:web1,timeout=10
	krbd 1 open 0
	expect_fail vbd_gone 1 1 $DISK
	expect_match "$OUTPUT" 'unmap /dev/rbd0 \(rbd/web1\): Device or resource busy; see'
	# Still mapped, so the entry is still true, and all is on record.
	expect_match "$(lockers web1)" ',held,w,xen1,'
	krbd 1 close 0
	rbd_remove 1 1 $DISK
	nothing_left
}

# Destroyed while the helper was on its way.
backend_goes_away() { # backend_goes_away STATE ONLINE
	rbd create --size 10M web1
	vbd_new 1 1 $DISK w rbd:web1
	write_keys 1 "$(backend_path 1 $DISK)" state "$1" online "$2"
	expect_fail rbd_add 1 1 $DISK
	expect_eq "$(vbd_read 1 1 $DISK physical-device)" ""
	expect_match "$(vbd_read 1 1 $DISK hotplug-error)" \
		'the backend no longer waits for a device; was the domain destroyed\?'
	vbd_gone 1 1 $DISK
	nothing_left
}

# Ctrl-C at xl create reaches the helper as well: it is done soon anyway, and
# dying would leave a lock and a mapping.
signals_do_not_stop_it() {
	local pid signal

	rbd create --size 10M web1
	vbd_new 1 1 $DISK w rbd:web1
	krbd 1 delay-map 2
	rbd_add 1 1 $DISK &
	pid=$!
	eventually 10 pending_entry
	for signal in INT TERM HUP PIPE; do
		pkill -$signal -x block-rbd
	done
	wait $pid
	expect_match "$(lockers web1)" ',held,w,xen1,'
	vbd_gone 1 1 $DISK
	nothing_left
}

pending_entry() {
	lockers web1 | grep -q ',pending,'
}

# Somebody else's mapping of the same image is none of our business.
never_unmaps_what_it_did_not_map() {
	rbd create --size 10M web1
	host 1 bash -c "echo '10.78.0.1:6789 name=xen,secret=$(
		ceph-authtool -p -n client.xen "$WORLD/ceph/ceph.client.xen.keyring"
	),ro rbd web1 -' >/sys/bus/rbd/add_single_major"
	attach 1 1 w rbd:web1
	expect_eq "$(vbd_read 1 1 $DISK physical-device-path)" /dev/rbd1
	vbd_gone 1 1 $DISK
	expect_eq "$(krbd 1 maps | wc -l)" 1
	host 1 bash -c 'echo 0 >/sys/bus/rbd/remove_single_major'
	nothing_left
}

world_start 1
t "attach and detach, default features" attaches_and_detaches xlrbd
t "attach and detach, layering only" attaches_and_detaches rbd_lock layering
t "read-only maps are read-only" read_only_maps_are_read_only
t "snapshots and namespaces" snapshots_and_namespaces
t "map options, id, conf and messenger reach the kernel" options_reach_the_kernel
t "names with odd characters" names_with_odd_characters
t "domain 0, as for pygrub" domain_0
t "four disks of a domain at once" many_at_once
t "one image in four domains of a host at once" one_image_twice_on_a_host
t "add twice" add_twice
t "add after one that was killed" add_again_after_a_lost_one
t "remove twice, and of what never was" remove_twice_and_of_nothing
t "remove waits for blkback" remove_waits_for_blkback
t "remove survives EBUSY" remove_survives_ebusy
t "remove gives up in time and can be repeated" remove_gives_up_and_can_be_repeated
t "the backend is closed before add is done" backend_goes_away 6 0
t "the backend is withdrawn before add is done" backend_goes_away 2 0
t "signals do not stop it half-way" signals_do_not_stop_it
t "never unmaps what it did not map" never_unmaps_what_it_did_not_map
summary
