#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Ephemeral disks where it is a question who deletes them, and when: after a migration, after one that failed, and after
# the host has lost power.  The simple life of one is in disks.sh.
. "$(dirname "$0")/migrating.sh"

# The image is called root, as migrating.sh has it.
TARGET=rbd:root,clone=debian@v1,ephemeral

make_base() {
	root_image debian
	rbd snap create --no-progress rbd/debian@v1
}

# How a test ends: the image is gone, with all that was on it, and nothing else is.
only_the_base() {
	expect_eq "$(rbd ls | xargs)" debian "images at the end"
	expect_eq "$(rbd trash ls)" "" "trash"
	nothing_left debian
	rbd snap purge --no-progress rbd/debian
	drop_image debian
}

image_id() {
	rbd info --format json rbd/root | jq -r .id
}

# web1 counts on xen1.
begin() {
	FROM=1 TO=2
	make_base
	"$LAB" domcfg -t pvh web1 "$(disk $TARGET)" |
		x 1 "cat >/root/web1.cfg && rm -f /var/log/xen/console/guest-web1*.log && xl create /root/web1.cfg"
	"$LAB" guestwait xen1 web1 "lab: guest up" $PATIENCE
	"$LAB" type xen1 -n web1 "$COUNTER"
	eventually $PATIENCE ticks_beyond 1 3
}

migrates() {
	local id

	begin
	id=$(image_id)
	migrate xen2
	hold_add
	release_add
	migrated
	expect_eq "$(image_id)" "$id" "the image after the migration"
	# The source's remove has run, and has left it.
	settled 2
	expect_eq "$(image_id)" "$id" "the image of the guest that goes on"
	off 2
	only_the_base
}

# The destination finds the image, could take it for a crash's, and later gives it up, with a remove: twice no reason
# to delete it.
migration_fails() {
	local id

	begin
	id=$(image_id)
	migrate xen2
	hold_add
	signal 2 STOP receive
	release_add
	eventually $PATIENCE both_hold
	eventually $PATIENCE connected
	signal 2 KILL receive
	failed "Migration failed, resuming at sender."
	x 2 "xl destroy web1--incoming"
	wait_gone 2 web1--incoming
	expect_eq "$(image_id)" "$id" "the image after the destination has given it up"
	settled 1
	off 1
	only_the_base
}

watch_is_gone() {
	[[ -z $(rbd status --format json rbd/root | jq -r '.watchers[].address') ]]
}

# However a test ends, the next one finds both hosts, and Ceph's own times.
back_to_normal() {
	host_on 1
	"$LAB" ceph ceph config rm osd osd_client_watch_timeout
}

# loses_power: xen1 does, while web1 runs on it and has written something.
loses_power() {
	"$LAB" ceph ceph config set osd osd_client_watch_timeout 12
	make_base
	up 1 web1 "$(disk $TARGET)"
	guest 1 web1 'echo mine >/data/witness; sync'
	# What was installed must outlive the power.
	x 1 sync
	"$LAB" power-off xen1
	expect_eq "$(holders)" "held,xen1" "holders with the host off"
	eventually $PATIENCE watch_is_gone
}

boot_service() {
	x 1 "sed -n 's/^ExecStart=//p' \$(find /lib/systemd/system/ /usr/lib/systemd/system/ -name block-rbd-gc.service) |
		head -n 1"
}

crash_and_gc() {
	local id

	trap back_to_normal EXIT
	loses_power
	id=$(image_id)
	"$LAB" power-on xen1
	expect_eq "$(image_id) $(holders)" "$id held,xen1" "image and holders when the host is back"
	expect_match "$(x 1 "$(boot_service)")" "^rbd: 1 cleaned up$" "what the boot service says"
	only_the_base
}

# Nobody has cleaned up before the domain is started again.
crash_and_start() {
	local id

	trap back_to_normal EXIT
	loses_power
	id=$(image_id)
	"$LAB" power-on xen1
	up 1 web1 "$(disk $TARGET)"
	expect_no_match "$(image_id)" "^$id\$" "the image of the second life"
	guest 1 web1 '! test -e /data/witness'
	power_off 1 web1
	only_the_base
}

# A takeover takes the disk as it is.  It goes with its last detach, whatever tombstones are on it.
crash_and_takeover() {
	local id

	trap back_to_normal EXIT
	loses_power
	id=$(image_id)
	up 2 web1 "$(disk $TARGET,takeover=fence)"
	expect_eq "$(image_id) $(holders)" "$id fenced,xen1 held,xen2" "image and holders after the takeover"
	guest 2 web1 'grep -q mine /data/witness'
	power_off 2 web1
	expect_eq "$(rbd ls | xargs)" debian "images after the poweroff"
	"$LAB" power-on xen1
	expect_match "$(x 1 "$(boot_service)")" "^rbd: 0 cleaned up$" "what the boot service says"
	only_the_base
}

t "xl migrate keeps it, and the poweroff there deletes it" migrates
t "xl migrate fails when the destination has the disk: it stays" migration_fails
t "the host loses power: the boot service deletes it" crash_and_gc
t "the host loses power: the next start begins with a fresh one" crash_and_start
t "the host loses power: taken over as it is, deleted at the poweroff" crash_and_takeover
summary
