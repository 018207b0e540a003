#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The disk line with a real kernel: clones made at the first start, ephemeral ones, read-only disks, snapshots, CDs,
# discard.
. "$(dirname "$0")/functions.sh"

make_base() {
	root_image debian
	rbd snap create --no-progress rbd/debian@v1
}

drop_base() {
	rbd snap purge --no-progress rbd/debian
	drop_image debian
}

first_and_second_start() {
	local target=rbd:web1,clone=debian@v1,size=96M sum

	make_base
	sum=$(rbd export --no-progress rbd/debian@v1 - | md5sum)
	up 1 web1 "$(disk $target)"
	expect_eq "$(guest 1 web1 'cat /sys/block/xvda/size' | tail -n 1)" $((96 << 11)) "sectors in the guest"
	guest 1 web1 'echo mine >/data/witness; sync'
	power_off 1 web1
	expect_eq "$(lockers web1)" ""
	# The second start, on the other host, finds what the first one has made.
	up 2 web1 "$(disk $target)"
	guest 2 web1 'grep -q mine /data/witness'
	power_off 2 web1
	expect_eq "$(rbd export --no-progress rbd/debian@v1 - | md5sum)" "$sum" "the base"
	nothing_left web1 debian
	drop_image web1
	drop_base
}

wrong_bases() {
	make_base
	expect_fail boot 1 web1 "$(disk rbd:web1,clone=debian@v9)"
	expect_match "$OUTPUT" 'clone=debian@v9: no such snapshot'
	expect_fail boot 1 web1 "$(disk rbd:web1,clone=debian@v1,size=1M)"
	expect_match "$OUTPUT" 'size= is smaller than this base, which has 64 MB'
	expect_eq "$(rbd ls | xargs)" debian
	nothing_left debian
	drop_base
}

# A reboot begins anew, and nothing stays: neither after poweroff nor after destroy.
ephemeral_ones() {
	local target=rbd:web1,clone=debian@v1,ephemeral

	make_base
	up 1 web1 "$(disk $target)"
	guest 1 web1 'echo mine >/data/witness; sync'
	"$LAB" type xen1 -n web1 reboot
	"$LAB" guestwait xen1 web1 "lab: guest up" $PATIENCE 2
	guest 1 web1 '! test -e /data/witness'
	power_off 1 web1
	expect_eq "$(rbd ls | xargs)" debian "images after poweroff"
	up 1 web1 "$(disk $target)"
	x 1 'xl destroy web1'
	wait_gone 1 web1
	expect_eq "$(rbd ls | xargs)" debian "images after destroy"
	expect_eq "$(rbd trash ls)" ""
	nothing_left debian
	drop_base
}

# 16 at once: attached, not booted, which would take longer than what is looked at.
sixteen_ephemeral_ones() {
	local i host

	make_base
	for host in 1 2; do
		x $host 'rm -f /root/web*.cfg'
	done
	for i in {1..16}; do
		XLRBD_LAB_GUEST_MEMORY=96 "$LAB" domcfg "web$i" "$(disk "rbd:,clone=debian@v1,ephemeral")" |
			x $((i % 2 + 1)) "cat >/root/web$i.cfg"
	done
	for host in 1 2; do
		# Two at once can be more than an emulated processor does before libxl loses patience. They all live at once.
		x $host 'ls /root/web*.cfg | xargs -n 1 xl create -q -p' &
	done
	wait
	expect_eq "$(rbd ls | grep -c '^web[0-9]*-xvda$')" 16 "images"
	expect_eq "$(x 1 'ls /sys/bus/rbd/devices | wc -l')" 8 "mappings"
	for host in 1 2; do
		# shellcheck disable=SC2016 # for the host's shell
		x $host 'for c in /root/web*.cfg; do echo ${c##*/web}; done | sed s/.cfg// | xargs -n 1 -P 2 -I N xl destroy webN
			rm /root/web*.cfg' &
	done
	wait
	eventually $PATIENCE only_the_base
	nothing_left debian
	drop_base
}

only_the_base() {
	[[ $(rbd ls | xargs) == debian && -z $(rbd trash ls) ]]
}

flags_of_the_line() {
	root_image root
	rbd create --size 8M rbd/tools
	rbd create --size 8M rbd/cd
	up 1 web1 "$(disk rbd:root xvda direct-io-safe)" "$(disk rbd:tools xvdb access=ro)" \
		"$(disk rbd:cd xvdc access=ro no-discard)"
	expect_eq "$(x 1 'xl block-list web1 | wc -l')" 4 "lines of block-list"
	expect_match "$(x 1 'xenstore-ls -f /local/domain/0/backend/vbd')" '/51712/direct-io-safe = "1"'
	guest 1 web1 'test "$(cat /sys/block/xvdb/ro)" = 1 && test "$(cat /sys/block/xvda/ro)" = 0'
	guest 1 web1 '! dd if=/dev/zero of=/dev/xvdb bs=4096 count=1 2>/dev/null'
	power_off 1 web1
	nothing_left root tools cd
	drop_image root tools cd
}

# A snapshot as the root disk and as another one, beside the image that it is of and that is written to meanwhile.
snapshots() {
	make_base
	printf '%-4096s' first | rbd import --no-progress - rbd/tools
	rbd snap create --no-progress rbd/tools@v1
	up 1 web1 "$(disk rbd:debian@v1 xvda access=ro)" "$(disk rbd:tools xvdb)" "$(disk rbd:tools@v1 xvdc access=ro)"
	guest 1 web1 'echo other | dd of=/dev/xvdb conv=fsync 2>/dev/null'
	expect_eq "$(guest 1 web1 'for d in b c; do head -c 5 /dev/xvd$d; echo; done' | xargs)" "other first"
	expect_eq "$(guest 1 web1 'cat /sys/block/xvd[abc]/ro' | xargs)" "1 0 1" "read-only flags in the guest"
	guest 1 web1 '! dd if=/dev/zero of=/dev/xvdc bs=4096 count=1 2>/dev/null'
	expect_eq "$(lockers tools | cut -d, -f3,12 | sort | xargs)" "r,v1 w," "entries: mode and snapshot"
	not_attached "$(disk rbd:tools@v1 xvdd)" 'rbd/tools@v1: a snapshot cannot be written to; add access=ro to the disk'
	not_attached "$(disk rbd:tools@v1,mode=w! xvdd access=ro)" \
		'target: a snapshot cannot be written to: "rbd:tools@v1,mode=w!"'
	power_off 1 web1
	nothing_left debian tools
	rbd snap purge --no-progress rbd/tools
	drop_image tools
	drop_base
}

not_attached() { # not_attached DISK SENTENCE: to web1, which runs
	expect_fail x 1 "xl block-attach web1 '$1'"
	expect_match "$OUTPUT" "script: $2"
	x 1 'xl block-detach web1 xvdd'
}

# To a PV guest a CD is a read-only disk, whatever access= says, and has no tray.  A PVH guest's kernel takes every CD
# for an emulated one and has no driver for it: there a disk with access=ro has to do.
cds() {
	root_image root
	rbd create --size 8M rbd/cd
	up 1 web1 "$(disk rbd:root)" "$(disk rbd:cd xvdb devtype=cdrom)" "$(disk rbd:cd xvdc cdrom access=rw)"
	expect_eq "$(guest 1 web1 'cat /sys/block/xvd[bc]/ro' | xargs)" "1 1" "read-only flags in the guest"
	expect_match "$(lockers cd)" ",held,r,xen1,.*,held,r,xen1," "entries"
	expect_fail x 1 'xl cd-insert web1 xvdb rbd:cd'
	expect_match "$OUTPUT" "Cannot stat file: rbd:cd"
	expect_fail x 1 'xl cd-eject web1 xvdb'
	expect_match "$OUTPUT" "cdrom-insert requires an HVM domain"
	power_off 1 web1
	"$LAB" domcfg -t pvh web1 "$(disk rbd:root)" "$(disk rbd:cd xvdb cdrom)" "$(disk rbd:cd xvdc access=ro)" |
		x 1 "cat >/root/web1.cfg; rm -f /var/log/xen/console/guest-web1*.log; xl create /root/web1.cfg"
	"$LAB" guestwait xen1 web1 "lab: guest up" $PATIENCE
	expect_eq "$(guest 1 web1 'ls /sys/block' | xargs)" "xvda xvdc" "disks in a PVH guest"
	power_off 1 web1
	expect_fail boot 1 web1 "$(disk rbd:root)" script=block-rbd,vdev=xvdb,cdrom
	expect_match "$OUTPUT" "no suitable backend for disk xvdb" "what xl says of a CD without target="
	nothing_left root cd
	drop_image root cd
}

# Each with options of its own, in both ways in which xl takes a disk, to a guest that runs.
options_while_it_runs() {
	local target=rbd:grows,clone=debian@v1

	make_base
	root_image root
	rbd create --size 8M rbd/data
	up 1 web1 "$(disk rbd:root)"
	x 1 "xl block-attach web1 script=block-rbd vdev=xvdb target='rbd:data,mode=w!,map=queue_depth=32,timeout=35'"
	expect_match "$(lockers data)" ",held,w%21,xen1,"
	expect_match "$(x 1 'cat /sys/bus/rbd/devices/1/config_info')" ",queue_depth=32 .*data" "what the kernel was told"
	attach_sized "$target,size=70M" 70
	attach_sized "$target,size=80M" 80
	attach_sized "rbd:scratch,clone=debian@v1,ephemeral" 64
	expect_eq "$(rbd ls | xargs)" "data debian grows root" "images"
	expect_eq "$(rbd info --format json rbd/grows | jq .size)" $((80 << 20)) "its size"
	x 1 'xl block-detach web1 xvdb'
	power_off 1 web1
	nothing_left root data grows debian
	drop_image root data grows
	drop_base
}

attach_sized() { # attach_sized TARGET MEGABYTES: to web1, and away again
	x 1 "xl block-attach web1 '$(disk "$1" xvdc)'"
	eventually $PATIENCE guest 1 web1 'test -b /dev/xvdc'
	expect_eq "$(guest 1 web1 'cat /sys/block/xvdc/size' | tail -n 1)" $(($2 << 11)) "sectors with $1"
	x 1 'xl block-detach web1 xvdc'
}

stored() { # stored IMAGE: its objects, and the kilobytes in them
	local prefix object
	prefix=$(rbd info --format json "rbd/$1" | jq -r .block_name_prefix)
	for object in $("$LAB" ceph rados -p rbd ls | grep "^$prefix\."); do
		"$LAB" ceph rados -p rbd stat "$object"
	done | awk '{ n++; size += $NF } END { print n + 0, size / 1024 }'
}

# With the allocation size of the image's objects whole ones go, else they are cut short.
fstrim_frees_space() { # fstrim_frees_space [OPTION]
	local before full after

	root_image root
	up 1 web1 "$(disk "rbd:root${1:+,$1}")"
	guest 1 web1 'fstrim /'
	read -ra before <<<"$(stored root)"
	guest 1 web1 'dd if=/dev/urandom of=/data/big bs=1M count=24 2>/dev/null; sync'
	read -ra full <<<"$(stored root)"
	guest 1 web1 'rm /data/big; sync; fstrim /'
	read -ra after <<<"$(stored root)"
	echo "note: objects and kB: ${before[*]}; with 24 MB more ${full[*]}; after fstrim ${after[*]}"
	((full[1] >= before[1] + 20480)) || fail "too little was written"
	((after[1] <= before[1] + 12288)) || fail "space is not freed"
	[[ -z ${1:-} ]] || ((after[0] < full[0])) || fail "no object is freed"
	power_off 1 web1
	nothing_left root
	drop_image root
}

t "clone=: the first start makes it, the second finds it" first_and_second_start
t "clone=: bases that are not there, or too large" wrong_bases
t "ephemeral: reboot, poweroff, destroy" ephemeral_ones
t "ephemeral: sixteen at once, named after their domains" sixteen_ephemeral_ones
t "read-only, direct-io-safe, block-list" flags_of_the_line
t "a snapshot as a disk, beside its image" snapshots
t "CDs, which xl makes read-only" cds
t "block-attach and block-detach with options" options_while_it_runs
t "a guest's fstrim frees space" fstrim_frees_space
t "a guest's fstrim frees objects, map=alloc_size=4194304" fstrim_frees_space map=alloc_size=4194304
summary
