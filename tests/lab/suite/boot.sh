#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Domains boot from Ceph, live and end, and nothing is left.
. "$(dirname "$0")/functions.sh"

# read_file IMAGE PATH: out of the image's file system, from outside.
read_file() {
	local copy

	copy=$(mktemp)
	rbd export --no-progress "rbd/$1" - >"$copy"
	debugfs -R "cat $2" "$copy" 2>/dev/null
	rm -f "$copy"
}

boots() { # boots IMAGE FEATURE...
	local image=$1

	root_image "$@"
	up 1 web1 "$(disk "rbd:$image")"
	guest 1 web1 "echo $image-was-here >/data/witness && sync"
	expect_match "$(lockers "$image")" "xlrbd1,held,w,xen1,"
	# Whom the entry names is whom Ceph sees.
	expect_match "$(rbd status "rbd/$image")" "$(lockers "$image" | cut -d, -f11)"
	power_off 1 web1
	expect_eq "$(read_file "$image" /data/witness)" "$image-was-here" "what the guest wrote"
	nothing_left "$image"
	drop_image "$image"
}

four_disks() {
	root_image root
	for i in r rs ws; do
		rbd create --size 8M "rbd/data-$i"
	done
	up 1 web1 "$(disk rbd:root)" "$(disk rbd:data-r xvdb access=ro)" \
		"$(disk rbd:data-rs,mode=r! xvdc access=ro)" "$(disk rbd:data-ws,mode=w! xvdd)"
	expect_match "$(lockers root)" ",held,w,xen1,"
	expect_match "$(lockers data-r)" ",held,r,xen1,"
	expect_match "$(lockers data-rs)" ",held,r%21,xen1,"
	expect_match "$(lockers data-ws)" ",held,w%21,xen1,"
	expect_eq "$(guest 1 web1 'cat /sys/block/xvd[abcd]/ro' | tr -dc 01)" 0110 "read-only flags in the guest"
	guest 1 web1 "echo hello | dd of=/dev/xvdd conv=fsync 2>/dev/null"
	# The other host may share what is shared, and only that.
	up 2 web2 "$(disk rbd:data-ws,mode=w! xvdb)" "$(disk rbd:data-r xvdc access=ro)" -- \
		'extra = "console=hvc0 mitigations=off quiet root=none"'
	expect_eq "$(guest 2 web2 'dd if=/dev/xvdb bs=5 count=1 2>/dev/null; echo')" hello "what the other wrote"
	expect_eq "$(lockers data-ws | wc -l)" 2 "holders of data-ws"
	power_off 2 web2
	power_off 1 web1
	nothing_left root data-r data-rs data-ws
	drop_image root data-r data-rs data-ws
}

read_only_in_two() {
	rbd create --size 8M rbd/tools
	up 1 web1 "$(disk rbd:tools xvda access=ro)" -- 'extra = "console=hvc0 mitigations=off quiet root=none"'
	up 1 web2 "$(disk rbd:tools xvda access=ro)" -- 'extra = "console=hvc0 mitigations=off quiet root=none"'
	expect_eq "$(lockers tools | wc -l)" 2 "holders"
	# Each has a mapping of its own: the first to go takes nothing from the other.
	expect_eq "$(x 1 'ls /sys/bus/rbd/devices | wc -l')" 2 "mappings"
	power_off 1 web1
	guest 1 web2 "dd if=/dev/xvda of=/dev/null bs=1M 2>/dev/null"
	power_off 1 web2
	nothing_left tools
	drop_image tools
}

reboots() {
	local before

	root_image root
	up 1 web1 "$(disk rbd:root)"
	before=$(x 1 'xl domid web1')
	guest 1 web1 "echo first-life >/data/witness"
	"$LAB" type xen1 -n web1 reboot
	"$LAB" guestwait xen1 web1 "lab: guest up" $PATIENCE 2
	expect_no_match "$(x 1 'xl domid web1')" "^$before\$" "domid after the reboot"
	expect_match "$(guest 1 web1 'cat /data/witness')" first-life
	expect_eq "$(lockers root | wc -l)" 1 "entries after the reboot"
	power_off 1 web1
	nothing_left root
	drop_image root
}

destroyed_while_writing() {
	root_image root
	up 1 web1 "$(disk rbd:root)"
	"$LAB" type xen1 -n web1 'while :; do dd if=/dev/zero of=/data/big bs=64k count=400; done 2>/dev/null'
	# It is writing when the cluster sees it write.
	eventually $PATIENCE writes_seen
	x 1 'xl destroy web1'
	nothing_left root
	drop_image root
}

writes_seen() {
	x 1 'a=$(cut -c24- /sys/block/rbd*/stat); sleep 1; [ "$a" != "$(cut -c24- /sys/block/rbd*/stat)" ]'
}

fails_for_another_reason() {
	root_image root
	# The disk is attached before the network interface is, which has no bridge to go to.
	expect_fail boot 1 web1 "$(disk rbd:root)" -- 'vif = [ "bridge=nosuchbridge" ]'
	expect_no_match "$OUTPUT" block-rbd "xl's output"
	nothing_left root
	# And so when a later disk is the reason.
	expect_fail boot 1 web1 "$(disk rbd:root)" "$(disk rbd:nosuchimage xvdb)"
	expect_match "$OUTPUT" "rbd/nosuchimage: no such image"
	nothing_left root
	drop_image root
}

t "boots from an image with default features" boots default
t "boots from an image with layering only" boots layered layering
t "four disks with modes w, r, r! and w!; shared with another host" four_disks
t "one image read-only in two domUs" read_only_in_two
t "reboot from inside" reboots
t "xl destroy in the middle of writes" destroyed_while_writing
t "a domain that fails to start for another reason" fails_for_another_reason
summary
