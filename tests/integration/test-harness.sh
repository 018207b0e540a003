#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The harness itself, with plain tools: is the world that block-rbd is tested
# in the one that it will meet?
set -euo pipefail

# shellcheck source=tests/integration/functions.sh
source "$(dirname "$0")/functions.sh"

BUS=/sys/bus/rbd

key() {
	ceph-authtool -p -n client.xen "$WORLD/ceph/ceph.client.xen.keyring"
}

write() { # write HOST FILE TEXT
	host "$1" bash -c "echo '$3' >$BUS/$2"
}

map() { # map HOST IMAGE [,OPTION...] [SNAP]
	write "$1" add_single_major \
		"10.78.0.1:6789 name=xen,secret=$(key)${3:-} rbd $2 ${4:--}"
}

unmap() { # unmap HOST ID
	write "$1" remove_single_major "$2"
}

attribute() { # attribute HOST ID NAME
	host "$1" cat "$BUS/devices/$2/$3"
}

map_looks_like_the_kernels() {
	rbd create --size 10M look
	map 1 look
	expect_eq "$(attribute 1 0 pool)" rbd
	expect_eq "$(attribute 1 0 name)" look
	expect_eq "$(attribute 1 0 current_snap)" -
	expect_eq "$(attribute 1 0 size)" 10485760
	expect_eq "$(attribute 1 0 pool_ns)" ''
	expect_eq "$(attribute 1 0 cluster_fsid)" "$(ceph fsid)"
	expect_eq "rbd_header.$(attribute 1 0 image_id)" "$(image_header look)"
	expect_match "$(attribute 1 0 client_addr)" '^10\.78\.0\.11:0/[0-9]+$'
	expect_match "$(attribute 1 0 client_id)" '^client[0-9]+$'
	expect_match "$(attribute 1 0 config_info)" '^10.*rbd look -$'
	expect_eq "$(watchers look)" "$(attribute 1 0 client_addr)"
	expect_match "$(lockers look)" '"cookie":"auto [0-9]+"'
	unmap 1 0
	nothing_left
}

read_only_maps_leave_no_trace() {
	rbd create --size 10M quiet
	rbd snap create --no-progress quiet@before
	map 1 quiet ,ro
	map 1 quiet '' before
	expect_eq "$(watchers quiet)" ''
	expect_eq "$(lockers quiet)" ''
	expect_eq "$(attribute 1 1 current_snap)" before
	expect_eq "$(krbd 1 io 0 write)" EROFS
	unmap 1 0
	unmap 1 1
	nothing_left
}

maps_share_a_client_unless_told() {
	rbd create --size 10M share1
	rbd create --size 10M share2
	map 1 share1
	map 1 share2 ,queue_depth=64
	map 1 share2 ,ro,noshare
	map 2 share1 ,ro
	expect_eq "$(attribute 1 0 client_addr)" "$(attribute 1 1 client_addr)"
	[[ $(attribute 1 0 client_addr) != $(attribute 1 2 client_addr) ]] ||
		fail "noshare does not matter"
	expect_match "$(attribute 2 0 client_addr)" '^10\.78\.0\.12:'
	unmap 1 0
	unmap 1 1
	unmap 1 2
	unmap 2 0
	nothing_left
}

namespaces_and_msgr2() {
	rbd namespace create rbd/ns
	rbd create --size 10M rbd/ns/there
	expect_fail map 1 there
	expect_match "$OUTPUT" 'No such file'
	write 1 add_single_major "10.78.0.1:3300 name=xen,secret=$(key),ms_mode=prefer-crc,_pool_ns=ns rbd there -"
	expect_eq "$(attribute 1 0 pool_ns)" ns
	expect_match "$(lockers rbd/ns/there)" 'auto'
	unmap 1 0
	rbd rm --no-progress rbd/ns/there
	nothing_left
}

errors_are_the_kernels() {
	local good

	good="10.78.0.1:6789 name=xen,secret=$(key),mount_timeout=1"
	rbd create --size 10M err
	while read -r expected line; do
		expect_fail write 1 add_single_major "$line"
		expect_match "$OUTPUT" "${expected//_/ }" "$line"
	done <<-LINES
	Invalid_argument 10.78.0.1
	Invalid_argument $good,unknown rbd err -
	Invalid_argument $good,queue_depth=0 rbd err -
	Invalid_argument $good,alloc_size=777 rbd err -
	Invalid_argument $good,ro=1 rbd err -
	Invalid_argument mon.example ${good#* } rbd err -
	Invalid_argument 10.78.0.1 name=xen rbd err -
	No_such_file $good rbd nothing -
	No_such_file $good nothing err -
	No_such_file $good rbd err nothing
	not_permitted ${good%%,*},key=client.xen rbd err -
	Permission_denied ${good%%,*},secret=AQBvwgBrJ+pqABAABIxpR0pApyUE8CSbmfVHtQ== rbd err -
	timed_out 10.78.0.1:6999 ${good#* } rbd err -
	LINES
	expect_fail unmap 1 7
	expect_match "$OUTPUT" 'No such file'
	expect_fail write 1 add "$good rbd err -"
	expect_match "$OUTPUT" 'Invalid argument'
	nothing_left
}

unsupported_features_refuse() {
	rbd create --size 10M --image-feature exclusive-lock,journaling feat
	expect_fail map 1 feat
	expect_match "$OUTPUT" 'No such device or address'
	# What only writers need to know does not stop readers.
	map 1 feat ,ro
	unmap 1 0
	rbd feature disable feat journaling
	krbd 1 features 0x1
	expect_eq "$(host 1 cat $BUS/supported_features)" 0x1
	expect_fail map 1 feat
	krbd 1 features 0x1bf
	map 1 feat
	unmap 1 0
	nothing_left
}

foreign_lock_refuses() {
	rbd create --size 10M foreign
	rbd lock add foreign cookie
	expect_fail map 1 foreign
	expect_match "$OUTPUT" 'resource busy'
	rbd lock rm foreign cookie "$(rbd lock ls foreign | sed -n 's/^\(client[^ ]*\).*/\1/p')"
	map 1 foreign
	expect_fail rbd lock add foreign cookie
	unmap 1 0
	nothing_left
}

the_lock_moves_unless_exclusive() {
	rbd create --size 10M moves
	map 1 moves
	map 2 moves
	expect_match "$(lockers moves)" "$(attribute 2 0 client_addr)"
	expect_eq "$(krbd 1 io 0 write)" ok
	expect_match "$(lockers moves)" "$(attribute 1 0 client_addr)"
	unmap 1 0
	unmap 2 0
	map 1 moves ,exclusive
	expect_fail map 2 moves
	expect_match "$OUTPUT" 'Read-only file system'
	unmap 1 0
	nothing_left
}

open_devices_are_busy() {
	rbd create --size 10M open
	map 1 open
	krbd 1 open 0
	expect_fail unmap 1 0
	expect_match "$OUTPUT" 'resource busy'
	krbd 1 close 0
	krbd 1 fail-unmap EBUSY 2
	expect_fail unmap 1 0
	expect_fail unmap 1 0
	unmap 1 0
	nothing_left
}

killed_writers_undo() { # killed_writers_undo [after]
	local pid

	rbd create --size 10M "killed$*"
	krbd 1 delay-map inf "$@"
	map 1 "killed$*" &
	pid=$!
	[[ -z $* ]] || eventually 5 has_watcher "killed$*"
	eventually 5 kill_writer
	wait "$pid" || true
	expect_match "$(krbd 1 count)" 'now=0 '
	nothing_left
}

has_watcher() {
	[[ -n $(watchers "$1") ]]
}

kill_writer() {
	local pid

	for pid in $(host_processes 1); do
		if grep -q add_single_major "/proc/$pid/cmdline"; then
			kill -KILL "$pid"
			return
		fi
	done
	return 1
}

other_signals_do_not_undo() {
	local pid

	rbd create --size 10M signal
	krbd 1 delay-map 1
	host 1 python3 -c '
import os, signal, sys
signal.signal(signal.SIGALRM, lambda *a: None)
signal.setitimer(signal.ITIMER_REAL, 0.2)
fd = os.open(sys.argv[1], os.O_WRONLY)
os.write(fd, sys.argv[2].encode())
' $BUS/add_single_major "10.78.0.1 name=xen,secret=$(key) rbd signal -"
	expect_match "$(krbd 1 count)" 'now=1 '
	unmap 1 0
	nothing_left
}

blocklisted_maps_are_dead() {
	local addr

	rbd create --size 10M fenced
	map 1 fenced
	expect_eq "$(krbd 1 io 0 write)" ok
	addr=$(attribute 1 0 client_addr)
	ceph osd blocklist add "$addr" 2>/dev/null
	expect_eq "$(krbd 1 io 0 write)" ESHUTDOWN
	map 2 fenced
	expect_eq "$(krbd 2 io 0 write)" ok
	unmap 1 0
	unmap 2 0
	# A client is new when the last map of the old one has gone.
	map 1 fenced
	[[ $(attribute 1 0 client_addr) != "$addr" ]] || fail "same client"
	unmap 1 0
	ceph osd blocklist clear 2>/dev/null
	nothing_left
}

frozen_osds_hang_maps() {
	local pid

	rbd create --size 10M frozen
	cluster pause osd
	map 1 frozen &
	pid=$!
	sleep 0.5
	kill -0 "$pid"
	eventually 5 kill_writer
	wait "$pid" || true
	cluster resume osd
	eventually 5 nothing_left 2>/dev/null
}

cut_hosts_hang_and_recover() {
	rbd create --size 10M cut
	map 1 cut
	host_cut 1
	krbd 1 io 0 write >"$WORLD/io" &
	sleep 0.5
	expect_eq "$(<"$WORLD/io")" ''
	host_join 1
	wait $!
	expect_eq "$(<"$WORLD/io")" ok
	unmap 1 0
	nothing_left
}

crashed_hosts_leave_their_watch() {
	local addr boot_id machine_id

	rbd create --size 10M crash
	map 2 crash
	addr=$(attribute 2 0 client_addr)
	boot_id=$(host 2 cat /proc/sys/kernel/random/boot_id)
	machine_id=$(host 2 cat /etc/machine-id)
	host_crash 2
	expect_eq "$(watchers crash)" "$addr"
	host_start 2
	[[ $(host 2 cat /proc/sys/kernel/random/boot_id) != "$boot_id" ]] ||
		fail "same boot id"
	expect_eq "$(host 2 cat /etc/machine-id)" "$machine_id"
	expect_eq "$(host 2 hostname)" xen2
	# What is dead and fenced does not keep a new writer waiting.
	ceph osd blocklist add "$addr" 2>/dev/null
	map 2 crash
	expect_eq "$(watchers crash)" "$(attribute 2 0 client_addr)"
	unmap 2 0
	ceph osd blocklist clear 2>/dev/null
	nothing_left
}

keys_belong_to_processes() {
	local line='10.78.0.1 name=xen,key=client.xen rbd keys -'

	rbd create --size 10M keys
	host 1 env LD_PRELOAD="$KEYSTUB" python3 -c '
import base64, ctypes, os, sys
blob = base64.b64decode(sys.argv[3])
add_key = ctypes.CDLL(None).add_key
assert add_key(b"ceph", b"client.xen", blob, len(blob), -2) > 0
with open("/proc/keys") as keys:
	assert "ceph:client.xen" in keys.read()
fd = os.open(sys.argv[1], os.O_WRONLY)
os.write(fd, sys.argv[2].encode())
' $BUS/add_single_major "$line" "$(key)"
	expect_eq "$(attribute 1 0 name)" keys
	expect_fail write 1 add_single_major "$line"
	expect_match "$OUTPUT" 'not permitted'
	unmap 1 0
	nothing_left
}

xenstore_is_real() {
	local path

	vbd_new 1 7 51712 w rbd:web1 web1
	path=$(backend_path 7 51712)
	expect_eq "$(xs 1 read backend/vbd/7/51712/params)" rbd:web1
	expect_eq "$(vbd_read 1 7 51712 dev)" xvda
	expect_match "$(xs 1 ls -fp "$path")" "params = \"rbd:web1\" +\(n0,r7\)"
	expect_match "$(xs 1 ls -fp /local/domain/7/device)" \
		"virtual-device = \"51712\" +\(n7,r0\)"
	expect_eq "$(xs 1 read /local/domain/7/vm)" "/vm/$(default_uuid 1 7)"
	# Another host's store knows nothing of it.
	expect_fail xs 2 read "$path/params"
	# Written with the permissions of where it is, as block-rbd's nodes are.
	xs 1 write "$path/hotplug-status" connected
	expect_match "$(xs 1 ls -fp "$path")" \
		"hotplug-status = \"connected\" +\(n0,r7\)"
	expect_fail nothing_left
	vbd_forget 1 7 51712
	nothing_left
}

# Two transactions that touch one node: the second to end is told to retry.
xenstore_transactions_conflict() {
	host 1 python3 -c '
import ctypes, errno, os
lib = ctypes.CDLL("libxenstore.so.4", use_errno=True)
lib.xs_open.restype = ctypes.c_void_p
h = ctypes.c_void_p(lib.xs_open(0))
a, b = lib.xs_transaction_start(h), lib.xs_transaction_start(h)
for t in a, b:
	assert lib.xs_write(h, t, b"/tool/conflict", b"%d" % t, 1)
assert lib.xs_transaction_end(h, a, False)
assert not lib.xs_transaction_end(h, b, False)
assert ctypes.get_errno() == errno.EAGAIN, os.strerror(ctypes.get_errno())
'
	xs 1 rm /tool/conflict
}

vdevs_have_names() {
	expect_eq "$(vdev_name 51712)" xvda
	expect_eq "$(vdev_name 51729)" xvdb1
	expect_eq "$(vdev_name $((1 << 28 | 16 << 8)))" xvdq
}

started=${EPOCHREALTIME/./}
world_start 2
echo "# world with 2 hosts: $(((${EPOCHREALTIME/./} - started) / 1000)) ms"

t 'a map looks like the kernel'\''s' map_looks_like_the_kernels
t 'read-only maps leave no trace' read_only_maps_leave_no_trace
t 'maps share a client unless told' maps_share_a_client_unless_told
t 'namespaces and messenger v2' namespaces_and_msgr2
t 'errors are the kernel'\''s' errors_are_the_kernels
t 'unsupported features refuse' unsupported_features_refuse
t 'a foreign lock refuses' foreign_lock_refuses
t 'the lock moves unless exclusive' the_lock_moves_unless_exclusive
t 'open devices are busy' open_devices_are_busy
t 'a writer killed before the work' killed_writers_undo
t 'a writer killed after the work' killed_writers_undo after
t 'other signals do not undo' other_signals_do_not_undo
t 'blocklisted maps are dead' blocklisted_maps_are_dead
t 'a frozen OSD hangs maps' frozen_osds_hang_maps
t 'a cut host hangs and recovers' cut_hosts_hang_and_recover
t 'a crashed host leaves its watch' crashed_hosts_leave_their_watch
t 'keys belong to processes' keys_belong_to_processes
t 'xenstore is real' xenstore_is_real
t 'xenstore transactions conflict' xenstore_transactions_conflict
t 'vdevs have names' vdevs_have_names
summary
