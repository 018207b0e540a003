#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# xl migrate as it is, with the helper: nothing that a guest was told is on its disk is lost, each host has the entry it
# should have, and the same domain cannot be started beside itself.  Also what else makes one domain of another: save
# and restore, rename-restart.  What dies on the way is in migrate-killed.sh.
. "$(dirname "$0")/migrating.sh"

TRIPS=${XLRBD_TRIPS:-5}

# twin HOST OTHER: the same domain, with its UUID, started by hand on HOST is refused because of OTHER.
twin() {
	expect_fail x "$1" "xl create /root/web1.cfg"
	expect_match "$OUTPUT" "rbd/root: held for writing by domain web1.* on host xen$2 since"
}

back_and_forth() {
	local trip begin

	for ((trip = 1; trip <= TRIPS; trip++)); do
		find_guest
		begin=$SECONDS
		migrate "xen$TO"
		if ((trip == 1)); then
			# Beside the copy that arrives, which then goes on to arrive.
			hold_copy
			twin "$TO" "$FROM"
			release_copy
		fi
		migrated
		echo "note: trip $trip to xen$TO: $((SECONDS - begin)) s, $(holders)"
		expect_eq "$(holders)" "held,xen$TO" "holders after trip $trip"
		expect_eq "$(left "$FROM")" "" "left on xen$FROM"
		# Once in each direction is enough.
		((trip > 2)) || twin "$FROM" "$TO"
		goes_on "$TO"
	done
	settled "$TO"
}

# xl resumes the source when the destination cannot map.
destination_refuses() {
	find_guest
	x "$TO" "modprobe -r rbd"
	migrate "xen$TO"
	failed "the kernel's rbd module is not loaded"
	says "Migration failed, resuming at sender."
	x "$TO" "modprobe rbd"
	settled "$FROM"
}

# Two domains, one host, one /vm/UUID, which goes with the first of them.
to_itself() {
	local domid

	find_guest
	domid=$(x "$FROM" "xl domid web1")
	migrate localhost
	migrated
	expect_no_match "$(x "$FROM" "xl domid web1")" "^$domid\$" "domid after the migration"
	expect_eq "$(lockers root | wc -l)" 1 "entries"
	expect_eq "$(x "$FROM" "ls /sys/bus/rbd/devices /run/xlrbd | grep -c '^vbd-\|^[0-9]'")" 2 "mappings and records"
	settled "$FROM"
}

saved() {
	local told

	find_guest
	x "$FROM" "xl save web1 /root/web1.save" >/dev/null
	nothing_left root
	told=$(ticks "$FROM")
	x "$FROM" "xl restore /root/web1.save" >/dev/null
	eventually $PATIENCE ticks_beyond "$FROM" "$told"
	expect_match "$(lockers root)" ",held,w,xen$FROM,.*,web1\$" "the entry"
	x "$FROM" "rm /root/web1.save"
	settled "$FROM"
}

the_end() {
	find_guest
	finish "$FROM"
}

# xl keeps the domain that has ended, under another name and with another UUID, and with its disks: so there can be no
# second one, and the first is intact.  The same with on_crash.
rename_restart() {
	root_image root
	up 1 web1 "$(disk rbd:root)" -- 'on_reboot = "rename-restart"'
	"$LAB" type xen1 -n web1 reboot
	eventually $PATIENCE x 1 "grep -q 'rbd/root: held for writing by domain web1' /var/log/xen/xl-web1.log"
	eventually $PATIENCE no_monitor
	expect_match "$(x 1 "xl list")" $'\nweb1-[0-9TZ]+ ' "domains"
	expect_eq "$(holders)" "held,xen1"
	# shellcheck disable=SC2016 # for the host's shell
	x 1 'xl destroy $(xl list | sed -n "s/^\(web1-[0-9TZ]*\) .*/\1/p")'
	nothing_left root
	drop_image root
}

no_monitor() {
	! x 1 "pgrep -x xl"
}

t "xl migrate back and forth, $TRIPS trips, and starts by hand meanwhile" back_and_forth
t "xl migrate to a host that cannot map the image" destination_refuses
t "xl migrate to the same host" to_itself
t "xl save and xl restore" saved
t "after all of that" the_end
t "on_reboot=rename-restart" rename_restart
summary
