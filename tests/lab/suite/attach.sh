#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Disks that come to and leave a running domain, and a helper that is run out of turn.
. "$(dirname "$0")/functions.sh"

attach_and_detach_under_io() {
	root_image root
	rbd create --size 32M rbd/data
	up 1 web1 "$(disk rbd:root)"
	x 1 "xl block-attach web1 '$(disk rbd:data xvdb)'"
	eventually $PATIENCE guest 1 web1 'test -b /dev/xvdb'
	guest 1 web1 'dd if=/dev/urandom of=/dev/xvdb bs=1M count=4 conv=fsync 2>/dev/null'
	# Detaching asks the guest to let go: it does when the last reader has closed it.
	guest 1 web1 '(dd if=/dev/xvdb of=/dev/null bs=4k 2>/dev/null; sleep 2; dd if=/dev/zero of=/data/x bs=64k count=50 2>/dev/null) </dev/xvdb & :'
	x 1 'xl block-detach web1 xvdb'
	expect_eq "$(lockers data)" "" "entries of data"
	expect_eq "$(x 1 'ls /sys/bus/rbd/devices | wc -l')" 1 "mappings"
	# Again, with the same name for it.
	x 1 "xl block-attach web1 '$(disk rbd:data xvdb)'"
	expect_match "$(lockers data)" ",held,w,xen1,"
	power_off 1 web1
	nothing_left root data
	drop_image root data
}

# The guest gives the disk up while libxl still wants it: blkback stays bound, and has no reason to let go later.
guest_closes_first() {
	root_image root
	rbd create --size 8M rbd/data
	up 1 web1 "$(disk rbd:root)" "$(disk rbd:data xvdb)"
	eventually $PATIENCE guest 1 web1 'test -b /dev/xvdb'
	guest 1 web1 'echo vbd-51728 >/sys/bus/xen/drivers/vbd/unbind; ! test -b /dev/xvdb'
	x 1 'test -e /sys/bus/xen-backend/devices/vbd-*-51728/driver'
	x 1 'xl block-detach web1 xvdb'
	expect_eq "$(lockers data)" "" "entries of data"
	expect_eq "$(x 1 'ls /sys/bus/rbd/devices | wc -l')" 1 "mappings"
	power_off 1 web1
	nothing_left root data
	drop_image root data
}

failed_attach_then_detach() {
	root_image root
	up 1 web1 "$(disk rbd:root)"
	expect_fail x 1 "xl block-attach web1 '$(disk rbd:nosuchimage xvdb)'"
	expect_match "$OUTPUT" "rbd/nosuchimage: no such image; see .rbd ls rbd."
	# libxl leaves the nodes of a failed attach to the admin.
	x 1 'xl block-detach web1 xvdb'
	expect_eq "$(x 1 'ls /sys/bus/rbd/devices | wc -l')" 1 "mappings"
	power_off 1 web1
	nothing_left root
	drop_image root
}

out_of_turn() {
	local vbd

	root_image root
	up 1 web1 "$(disk rbd:root)"
	vbd=backend/vbd/$(x 1 'xl domid web1')/51712
	x 1 "XENBUS_PATH=$vbd block-rbd add"
	expect_eq "$(lockers root | wc -l)" 1 "entries after a second add"
	expect_eq "$(x 1 'ls /sys/bus/rbd/devices | wc -l')" 1 "mappings after a second add"
	# A remove while the guest uses the disk must not pull it away.
	expect_fail x 1 "XENBUS_PATH=$vbd block-rbd remove"
	expect_match "$OUTPUT" "the block backend still uses vbd-"
	expect_match "$(lockers root)" ",held,w,xen1,"
	guest 1 web1 'echo alive >/data/witness && sync'
	power_off 1 web1
	nothing_left root
	x 1 "XENBUS_PATH=$vbd block-rbd remove"
	x 1 "XENBUS_PATH=$vbd block-rbd remove"
	x 1 "XENBUS_PATH=backend/vbd/4242/51712 block-rbd remove"
	nothing_left root
	drop_image root
}

t "block-attach and block-detach under I/O" attach_and_detach_under_io
t "detach of a disk that the guest has closed already" guest_closes_first
t "block-attach fails, block-detach cleans up" failed_attach_then_detach
t "add twice, remove in use, remove twice, remove of nothing" out_of_turn
summary
