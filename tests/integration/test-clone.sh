#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Disks that are made at their first attach: clone=, size=, ephemeral, and
# images named after their domain.
set -euo pipefail

# shellcheck source=tests/integration/functions.sh
source "$(dirname "$0")/functions.sh"

DISK=51712
SECOND=51728		# xvdb
WEB=00000001-0000-4000-8000-00000000000a

gc() { # gc HOST
	local program

	program=$(find_block_rbd)
	host "$1" env LD_PRELOAD="$KEYSTUB" \
		LD_LIBRARY_PATH="$(dirname "$program")/../../libxlrbd/.libs" \
		"$program" gc 2>&1
}

error_of() { # error_of HOST DOMID
	vbd_read "$1" "$2" $DISK hotplug-error
}

size_of() {
	rbd info --format json "$1" | grep -o '"size":[0-9]*' | cut -d : -f 2
}

parent_of() { # "golden/debian@v1"
	rbd info --format json "$1" |
		sed -n 's/.*"parent":{"pool":"\([^"]*\)","pool_namespace":"\([^"]*\)","image":"\([^"]*\)".*"snapshot":"\([^"]*\)".*/\1\/\2\/\3@\4/p'
}

make_base() {
	rbd create --size 16M debian
	echo "the base" | dd of="$WORLD/block" bs=4096 conv=sync 2>/dev/null
	rbd import-diff --no-progress - debian < <(
		printf 'rbd diff v1\ns\0\0\0\1\0\0\0\0w\0\0\0\0\0\0\0\0\0\20\0\0\0\0\0\0'
		cat "$WORLD/block"
		printf e
	)
	rbd snap create --no-progress debian@v1
}

first_line() {
	rbd export --no-progress "$1" - | head -c 8
}

first_start_makes_it() {
	local before

	make_base
	before=$(rbd export --no-progress debian@v1 - | md5sum)
	vbd_new 1 1 $DISK w rbd:web1,clone=debian@v1,size=32M
	rbd_add 1 1 $DISK
	echo "note: first start $MS ms"
	expect_eq "$(first_line web1)" "the base"
	expect_eq "$(size_of web1)" $((32 << 20))
	expect_eq "$(parent_of web1)" "rbd//debian@v1"
	# No cluster setting is touched, nothing is protected.
	expect_match "$(rbd snap ls --format json debian)" '"protected":"false"'
	expect_eq "$(krbd 1 io 0 write)" ok
	vbd_gone 1 1 $DISK
	# The second start finds it, with what was written.
	vbd_new 1 1 $DISK w rbd:web1,clone=debian@v1,size=32M
	rbd_add 1 1 $DISK
	echo "note: second start $MS ms"
	[[ $(first_line web1) != "the base" ]] || fail "a fresh clone"
	vbd_gone 1 1 $DISK
	# It grows, and never shrinks.
	vbd_new 1 1 $DISK w rbd:web1,clone=debian@v1,size=40M
	rbd_add 1 1 $DISK
	expect_eq "$(size_of web1)" $((40 << 20))
	vbd_gone 1 1 $DISK
	vbd_new 1 1 $DISK w rbd:web1,clone=debian@v1,size=20M
	rbd_add 1 1 $DISK
	expect_eq "$(size_of web1)" $((40 << 20))
	vbd_gone 1 1 $DISK
	expect_eq "$(rbd export --no-progress debian@v1 - | md5sum)" "$before" "the base"
	expect_eq "$(rados -p rbd ls | grep -c xlrbd_making || :)" 0 "notes"
	nothing_left
}

refused() { # refused TARGET SENTENCE
	vbd_new 1 1 $DISK w "$1"
	expect_fail rbd_add 1 1 $DISK
	expect_match "$(error_of 1 1)" "$2"
	vbd_gone 1 1 $DISK
	expect_eq "$(rbd ls | grep -c '^web1$' || :)" 0 "images"
	expect_eq "$(rados -p rbd ls | grep -c xlrbd_making || :)" 0 "notes"
}

what_is_refused() {
	make_base
	refused rbd:web1,clone=debian@v9 'clone=debian@v9: no such snapshot; see `rbd snap ls rbd/debian`'
	refused rbd:web1,clone=fedora@v1 'clone=fedora@v1: no such snapshot'
	refused rbd:web1,clone=nopool/debian@v1 'clone=nopool/debian@v1: open pool nopool'
	refused rbd:web1,clone=debian@v1,size=8M 'clone=debian@v1: size= is smaller than this base, which has 16 MB'
	rbd create --size 16M --image-feature exclusive-lock flat
	rbd snap create --no-progress flat@v1
	refused rbd:web1,clone=flat@v1 'clone=flat@v1: this base has not the feature layering'
	refused nopool:web1,clone=debian@v1 'no pool "nopool"'
	nothing_left
}

# What somebody made by hand is used as it is: clone= says how to make one.
existing_images_are_used() {
	make_base
	rbd create --size 8M web1
	vbd_new 1 1 $DISK w rbd:web1,clone=debian@v1
	rbd_add 1 1 $DISK
	expect_eq "$(parent_of web1)" ""
	vbd_gone 1 1 $DISK
	# And never deleted.
	vbd_new 1 1 $DISK w rbd:web1,clone=debian@v1,ephemeral
	rbd_add 1 1 $DISK
	vbd_gone 1 1 $DISK
	expect_eq "$(rbd ls | xargs)" "debian web1"
	nothing_left
}

two_hosts_at_once() {
	local one

	make_base
	vbd_new 1 1 $DISK r rbd:web1,clone=debian@v1
	vbd_new 2 2 $DISK r rbd:web1,clone=debian@v1
	rbd_add 1 1 $DISK &
	one=$!
	rbd_add 2 2 $DISK
	wait $one
	expect_eq "$(rbd children debian@v1 | xargs)" "rbd/web1"
	expect_eq "$(rados -p rbd ls | grep -c xlrbd_making || :)" 0 "notes"
	vbd_gone 1 1 $DISK
	vbd_gone 2 2 $DISK
	nothing_left
}

# Killed while it is made: never attached half made.
interrupted() { # interrupted KILL-AT...: all at once, as the wait is long
	local at domid=0

	make_base
	for at; do
		vbd_new 1 $((++domid)) $DISK w "rbd:web$domid,clone=debian@v1"
		XLRBD_WRAPPER="env LD_PRELOAD=$KEYSTUB:$("$LIB/built" killstub.so) KILL_AT=$at" \
			expect_fail rbd_add 1 $domid $DISK
		expect_match "$OUTPUT" 'exit 137'
		# By one who does not know of the base.
		vbd_new 2 2 $DISK w "rbd:web$domid"
		expect_fail rbd_add 2 2 $DISK
		expect_match "$(error_of 2 2)" "rbd/web$domid: (is half made|no such image)"
		vbd_gone 2 2 $DISK
		vbd_gone 1 $domid $DISK
	done
	# The lock on a note lasts as long as a helper could.
	for ((; domid > 0; domid--)); do
		vbd_new 1 $domid $DISK w "rbd:web$domid,clone=debian@v1,timeout=10"
		eventually 90 rbd_add 1 $domid $DISK
		expect_eq "$(first_line web$domid)" "the base"
		expect_eq "$(parent_of web$domid)" "rbd//debian@v1"
		vbd_gone 1 $domid $DISK
	done
	expect_eq "$(rados -p rbd ls | grep -c xlrbd_making || :)" 0 "notes"
	nothing_left
}

ephemeral() {
	local i

	make_base
	for ((i = 1; i <= 16; i++)); do
		vbd_new $((i % 2 + 1)) $i $DISK w "rbd:web$i,clone=debian@v1,ephemeral"
		rbd_add $((i % 2 + 1)) $i $DISK
	done
	expect_eq "$(rbd ls | wc -l)" 17
	for ((i = 1; i <= 16; i++)); do
		vbd_gone $((i % 2 + 1)) $i $DISK
	done
	expect_eq "$(rbd ls)" debian
	expect_eq "$(rbd trash ls)" ""
	# A restart gets a fresh one.
	vbd_new 1 1 $DISK w rbd:web1,clone=debian@v1,ephemeral
	rbd_add 1 1 $DISK
	expect_eq "$(krbd 1 io 0 write)" ok
	vbd_gone 1 1 $DISK
	vbd_new 1 1 $DISK w rbd:web1,clone=debian@v1,ephemeral
	rbd_add 1 1 $DISK
	expect_eq "$(first_line web1)" "the base"
	vbd_gone 1 1 $DISK
	nothing_left
}

ephemeral_and_migration() {
	make_base
	vbd_new 1 1 $DISK w rbd:web1,clone=debian@v1,ephemeral web1 $WEB
	rbd_add 1 1 $DISK
	expect_eq "$(krbd 1 io 0 write)" ok
	vbd_new 2 2 $DISK w rbd:web1,clone=debian@v1,ephemeral web1--incoming $WEB
	rbd_add 2 2 $DISK
	vbd_gone 1 1 $DISK
	[[ $(first_line web1) != "the base" ]] || fail "a fresh clone for the destination"
	expect_eq "$(rbd ls | xargs)" "debian web1"
	vbd_gone 2 2 $DISK
	expect_eq "$(rbd ls)" debian
	nothing_left
}

ephemeral_and_crash() { # ephemeral_and_crash gc|add
	make_base
	vbd_new 1 1 $DISK w rbd:web1,clone=debian@v1,ephemeral
	rbd_add 1 1 $DISK
	expect_eq "$(krbd 1 io 0 write)" ok
	host_crash 1
	eventually 60 watch_is_gone web1
	host_start 1
	if [[ $1 == gc ]]; then
		expect_match "$(gc 1)" 'rbd/web1: ephemeral: deleted'
		expect_eq "$(rbd ls)" debian
	fi
	vbd_new 1 1 $DISK w rbd:web1,clone=debian@v1,ephemeral
	rbd_add 1 1 $DISK
	expect_eq "$(first_line web1)" "the base"
	vbd_gone 1 1 $DISK
	expect_eq "$(rbd ls)" debian
	nothing_left
}

# Its last remove did not come to its end; the domain starts again under another domid.
ephemeral_and_leftover() {
	make_base
	vbd_new 1 1 $DISK w rbd:web1,clone=debian@v1,ephemeral,timeout=10
	rbd_add 1 1 $DISK
	expect_eq "$(krbd 1 io 0 write)" ok
	krbd 1 open 0
	expect_fail vbd_gone 1 1 $DISK
	vbd_forget 1 1 $DISK
	krbd 1 close 0
	vbd_new 1 2 $DISK w rbd:web1,clone=debian@v1,ephemeral
	rbd_add 1 2 $DISK
	expect_eq "$(first_line web1)" "the base"
	expect_eq "$(host 1 ls /run/xlrbd)" "vbd-2-$DISK"
	expect_eq "$(rados -p rbd ls | grep -c '^rbd_header' || :)" 2 "headers"
	vbd_gone 1 2 $DISK
	expect_eq "$(rbd ls)" debian
	expect_eq "$(rbd trash ls)" ""
	nothing_left
}

watch_is_gone() {
	[[ -z $(watchers "$1") ]]
}

# A base that is itself a clone hands its marks on.
inherited_mark() {
	make_base
	vbd_new 1 1 $DISK w rbd:web1,clone=debian@v1,ephemeral
	rbd_add 1 1 $DISK
	rbd snap create --no-progress web1@v2
	rbd clone --rbd-default-clone-format 2 web1@v2 mine
	vbd_new 1 2 $DISK w rbd:mine,clone=web1@v2,ephemeral
	rbd_add 1 2 $DISK
	vbd_gone 1 2 $DISK
	expect_match "$(rbd ls | xargs)" mine
	# And one that others depend on cannot go: said, not lost.
	vbd_gone 1 1 $DISK || :
	expect_match "$(rbd ls | xargs)" 'debian mine'
}

named_after_the_domain() {
	rbd create --size 8M web1
	rbd create --size 8M web1-xvdb
	vbd_new 1 1 $DISK w rbd: web1
	rbd_add 1 1 $DISK
	expect_match "$(lockers web1)" ',held,w,xen1,'
	vbd_new 1 1 $SECOND w rbd: web1
	rbd_add 1 1 $SECOND
	expect_match "$(lockers web1-xvdb)" ',held,w,xen1,'
	# As it is called until it has arrived.
	vbd_new 2 2 $DISK w rbd: web1--incoming "$(default_uuid 1 1)"
	rbd_add 2 2 $DISK
	vbd_gone 2 2 $DISK
	vbd_gone 1 1 $SECOND
	vbd_gone 1 1 $DISK
	rbd create --size 8M web1-xvda
	vbd_new 1 1 $DISK w rbd: web1
	expect_fail rbd_add 1 1 $DISK
	expect_match "$(error_of 1 1)" 'there are both rbd/web1-xvda and web1; name the image'
	vbd_gone 1 1 $DISK
	vbd_new 1 1 $DISK w rbd: db
	expect_fail rbd_add 1 1 $DISK
	expect_match "$(error_of 1 1)" 'rbd/db-xvda: no such image'
	vbd_gone 1 1 $DISK
	vbd_new 1 0 $DISK w rbd: Domain-0
	expect_fail rbd_add 1 0 $DISK
	expect_match "$(error_of 1 0)" 'attached to domain 0'
	vbd_gone 1 0 $DISK
	make_base
	vbd_new 1 1 $DISK w rbd:,clone=debian@v1 db
	rbd_add 1 1 $DISK
	expect_match "$(rbd ls | xargs)" 'db-xvda'
	vbd_gone 1 1 $DISK
	nothing_left
}

namespaces() {
	rbd namespace create rbd/team
	rbd namespace create rbd/gold
	rbd create --size 8M rbd/gold/debian
	rbd snap create --no-progress rbd/gold/debian@v1
	vbd_new 1 1 $DISK w rbd/team:web1,clone=rbd/gold/debian@v1,ephemeral
	rbd_add 1 1 $DISK
	expect_eq "$(parent_of rbd/team/web1)" "rbd/gold/debian@v1"
	vbd_gone 1 1 $DISK
	expect_eq "$(rbd ls rbd/team)" ""
	nothing_left
	rbd snap rm --no-progress rbd/gold/debian@v1
	rbd rm --no-progress rbd/gold/debian
}

# What xlrbd.conf says for all disks, or a pool's.
defaults() {
	ceph osd pool create gold 8 2>/dev/null
	rbd create --size 8M gold/web1
	host 1 tee /etc/xen/xlrbd.conf >/dev/null <<-'CONF'
	pool = gold
	map = queue_depth=64
	[pool gold]
	id = admin
	map = notrim
	CONF
	host 1 cp "$WORLD/ceph/ceph.client.admin.keyring" /etc/ceph/
	vbd_new 1 1 $DISK w web1,map=rxbounce
	rbd_add 1 1 $DISK
	expect_match "$(host 1 cat /sys/bus/rbd/devices/0/config_info)" 'name=admin,.*,rxbounce gold web1 -$'
	expect_eq "$(gc 1)" "gold: 0 cleaned up"
	vbd_gone 1 1 $DISK
	rbd create --size 8M web1
	vbd_new 1 1 $DISK w rbd:web1
	rbd_add 1 1 $DISK
	expect_match "$(host 1 cat /sys/bus/rbd/devices/0/config_info)" 'name=xen,.*,queue_depth=64 rbd web1 -$'
	vbd_gone 1 1 $DISK
	echo 'colour = red' | host 1 tee /etc/xen/xlrbd.conf >/dev/null
	vbd_new 1 1 $DISK w rbd:web1
	expect_fail rbd_add 1 1 $DISK
	expect_match "$(error_of 1 1)" '/etc/xen/xlrbd.conf:1: unknown option.*"colour=red"'
	vbd_gone 1 1 $DISK
	host 1 rm /etc/xen/xlrbd.conf /etc/ceph/ceph.client.admin.keyring
	rbd rm --no-progress gold/web1
	nothing_left
}

# The data of image and base may be in a pool of their own.
data_pool() {
	ceph osd pool create data 8 2>/dev/null
	host 1 cp "$WORLD/ceph/ceph.client.admin.keyring" /etc/ceph/
	rbd create --size 8M --data-pool data --image-feature layering,exclusive-lock debian
	rbd snap create --no-progress debian@v1
	vbd_new 1 1 $DISK w rbd:web1,clone=debian@v1,id=admin
	rbd_add 1 1 $DISK
	expect_match "$(rbd info --format json web1)" '"data_pool":"data"'
	expect_match "$(rbd info --format json web1)" '"features":\["layering","exclusive-lock","data-pool"'
	vbd_gone 1 1 $DISK
	host 1 rm /etc/ceph/ceph.client.admin.keyring
	nothing_left
}

world_start 2
# So that the dead are known to be dead sooner than after 30 s.
ceph config set osd osd_client_watch_timeout 8
t "the first start makes the image, the second finds it" first_start_makes_it
t "what is refused, and leaves nothing" what_is_refused
t "images that exist are used, and kept" existing_images_are_used
t "two hosts make the same image at once" two_hosts_at_once
t "interrupted while it is made" interrupted rados_write_full:1 rbd_clone3:1 rbd_metadata_set:1 rados_remove:1
t "16 ephemeral ones, no image left" ephemeral
t "ephemeral, with a migration in between" ephemeral_and_migration
t "ephemeral, a host crashes and runs gc" ephemeral_and_crash gc
t "ephemeral, after a remove that gave up" ephemeral_and_leftover
t "ephemeral, a host crashes and starts it again" ephemeral_and_crash add
t "marks that a base hands on" inherited_mark
t "images named after their domain" named_after_the_domain
t "namespaces" namespaces
t "data in a pool of its own" data_pool
t "defaults from xlrbd.conf" defaults
summary
