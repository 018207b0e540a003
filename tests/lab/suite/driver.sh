#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Disks from a driver domain: a guest of xen1, without Ceph in its dom0, runs `xl devd` and block-rbd, and serves another
# guest its disks.
. "$(dirname "$0")/functions.sh"

ADDRESS=10.77.0.21
# One emulated processor has three domains to run.
PATIENCE=240
NO_ROOT='extra = "console=hvc0 mitigations=off quiet root=none"'

# The driver domain itself: no disk, all that it needs is in memory.  A guest's pages, which it writes to its disk, are
# granted to the driver domain and cannot be granted from there to dom0's network: untrusted has the card's driver copy
# what it sends.
start_storage() {
	XLRBD_LAB_GUEST_MEMORY=384 "$LAB" domcfg -d "driver-start storage $ADDRESS" storage -- \
		'ramdisk = "/root/storage.initrd"' 'driver_domain = 1' \
		"vif = [ 'script=/root/driver/vif,mac=00:16:3e:77:00:21,ip=$ADDRESS,untrusted' ]" |
		x 1 "cat >/root/storage.cfg; rm -f /var/log/xen/console/guest-storage*.log; xl create /root/storage.cfg"
	"$LAB" guestwait xen1 storage "lab: driver domain is ready" $PATIENCE
}

set_up() {
	x 1 "rm -rf /root/driver"
	"$LAB" copy xen1 "$(dirname "$LAB")/driver" /root/
	x 1 "modprobe xen-netback && /root/driver/initrd /root/storage.initrd"
	start_storage
}

storage() { # storage COMMAND: in the driver domain
	guest 1 storage "$1"
}

served() { # served TARGET [VDEV] [KEY=VALUE...]: the line of a disk from there
	disk "$1" "${2:-xvda}" backend=storage "${@:3}"
}

# serve DISK...: starts web1 with them.  xl lets a guest go while its disks are still being attached elsewhere; here it
# waits for them, so that they do not wait for it.
serve() {
	"$LAB" domcfg web1 "$@" |
		x 1 "cat >/root/web1.cfg; rm -f /var/log/xen/console/guest-web1*.log; xl create -p /root/web1.cfg"
	eventually $PATIENCE attached $#
	x 1 'xl unpause web1'
	"$LAB" guestwait xen1 web1 "lab: guest up" $PATIENCE
}

attached() {
	(($(node hotplug-status | grep -c connected) == $1))
}

backend() { # backend: what xenstore has of all disks there
	x 1 "xenstore-ls -f /local/domain/\$(xl domid storage)/backend/vbd" 2>/dev/null | grep '/vbd/[0-9]*/[0-9]* ' || :
}

node() { # node NAME: its value, of each disk there
	x 1 "xenstore-ls -f /local/domain/\$(xl domid storage)/backend/vbd" 2>/dev/null | sed -n "s|.*/vbd/[0-9]*/[0-9]*/$1 = \"\(.*\)\"|\1|p"
}

# Whatever a driver domain that serves nothing should not have, a line each.
left_there() {
	backend
	# shellcheck disable=SC2016 # for the guest's shell
	storage 'for f in /sys/bus/rbd/devices/* /run/xlrbd/* /sys/bus/xen-backend/devices/*; do
		[ -e $f ] && echo $f; done; pidof block-rbd; :'
}

nothing_left_there() { # nothing_left_there IMAGE...
	local image

	expect_eq "$(left_there)" "" "left in the driver domain"
	expect_eq "$(left 1 | grep -v '^domain storage$')" "" "left in its dom0"
	for image; do
		expect_eq "$(lockers "$image")" "" "lock entries of $image"
	done
}

life() {
	local domid

	root_image root
	serve "$(served rbd:root)"
	domid=$(x 1 'xl domid web1')
	echo "note: the entry: $(lockers root)"
	# dom0 keeps the domain's name and UUID to itself.
	expect_match "$(lockers root)" ",held,w,storage,[^,]*,[^,]*,$domid,51712,[0-]*,[0-9]*,$ADDRESS:0/[0-9]*,,dom$domid\$"
	expect_match "$(rbd status rbd/root)" "watcher=$ADDRESS:0/"
	expect_eq "$(storage 'cat /sys/bus/rbd/devices/*/name')" root "mapped in the driver domain"
	expect_eq "$(left 1 | xargs)" "domain storage domain web1" "what dom0 has"
	expect_match "$(x 1 'xl block-list web1')" "/local/domain/$(x 1 'xl domid storage')/backend/vbd/$domid/51712"
	guest 1 web1 'echo served >/data/witness && sync'
	power_off 1 web1
	nothing_left_there root
	# It is where everybody else finds it.
	up 2 web2 "$(disk rbd:root)"
	guest 2 web2 'grep -q served /data/witness'
	power_off 2 web2
	drop_image root
}

destroyed() {
	local reading='while dd if=/dev/xvdb of=/dev/null bs=64k 2>/dev/null; do :; done & echo started'

	root_image root
	rbd create --size 32M rbd/data
	serve "$(served rbd:root)" "$(served rbd:data xvdb access=ro)"
	expect_match "$(lockers data)" ",held,r,storage,"
	guest 1 web1 "$reading"
	x 1 'xl destroy web1'
	wait_gone 1 web1
	nothing_left_there root data
	drop_image root data
}

reboots() {
	root_image root
	serve "$(served rbd:root)"
	"$LAB" type xen1 -n web1 reboot
	"$LAB" guestwait xen1 web1 "lab: guest up" $PATIENCE 2
	expect_eq "$(lockers root | wc -l)" 1 "entries after the reboot"
	power_off 1 web1
	nothing_left_there root
	drop_image root
}

served_disks_are() {
	(($(backend | wc -l) == $1))
}

comes_and_goes() {
	root_image root
	rbd create --size 8M rbd/data
	serve "$(served rbd:root)"
	x 1 "xl block-attach web1 '$(served rbd:data xvdb)'"
	eventually $PATIENCE guest 1 web1 'test -b /dev/xvdb'
	guest 1 web1 'echo there | dd of=/dev/xvdb conv=fsync 2>/dev/null'
	# dom0 gives it ten seconds, which emulation may not be content with; then it takes a second time, for dom0's nodes.
	x 1 'xl block-detach web1 xvdb' || { eventually $PATIENCE served_disks_are 1 && x 1 'xl block-detach web1 xvdb'; }
	expect_eq "$(lockers data)" "" "entries of data"
	expect_eq "$(storage 'cat /sys/bus/rbd/devices/*/name')" root "mapped in the driver domain"
	power_off 1 web1
	nothing_left_there root data
	drop_image root data
}

# What dom0 does not get to know: for it the domain is there and its disk is coming.
refused() { # refused DISK SENTENCE
	local id

	boot 1 web1 "$1" -- "$NO_ROOT"
	eventually $PATIENCE says_error "$2"
	echo "note: xl create succeeds; hotplug-error: $(node hotplug-error)"
	expect_eq "$(node hotplug-status), state $(node state)" "error, state 2"
	# Where else the administrator reads it: in the driver domain, of the helper and of xl devd.
	id=$(x 1 'xl domid web1')
	storage "grep 'block-rbd.*: add backend/vbd/$id/51712: ' /var/log/messages | grep -qF '$2'"
	storage "grep 'script: ' /var/log/xen/xldevd.log | grep -qF '$2'"
	# The guest's kernel waits for its disk, for five minutes.
	expect_fail "$LAB" guestwait xen1 web1 "lab: guest up" 15
	expect_match "$(x 1 'xl list web1')" 'web1 +[0-9]' "the domain"
	x 1 'xl destroy web1'
	wait_gone 1 web1
	nothing_left_there
}

says_error() {
	[[ $(node hotplug-error) == "$1"* ]]
}

refusals() {
	local uuid domid

	root_image root
	up 2 web2 "$(disk rbd:root)"
	uuid=$(x 2 'xenstore-read /local/domain/$(xl domid web2)/vm')
	refused "$(served rbd:root)" "rbd/root: held for writing by domain web2 (${uuid#/vm/}) on host xen2 since"
	refused "$(served rbd:nosuchimage)" "rbd/nosuchimage: no such image"
	power_off 2 web2
	# And the other way round.
	serve "$(served rbd:root)"
	domid=$(x 1 'xl domid web1')
	expect_fail boot 2 web2 "$(disk rbd:root)"
	expect_match "$OUTPUT" "rbd/root: held for writing by domain dom$domid \([0-]*\) on host storage since"
	power_off 1 web1
	nothing_left_there root
	drop_image root
}

# It waits for five minutes, so there is time to make room, and to run add again: nobody else does.
second_try() {
	local id

	root_image root
	rbd lock add rbd/root mine
	boot 1 web1 "$(served rbd:root)"
	eventually $PATIENCE says_error "rbd/root: locked by somebody else"
	rbd lock rm rbd/root mine "$(rbd lock ls --format json rbd/root | jq -r '.[0].locker')"
	id=$(x 1 'xl domid web1')
	storage "XENBUS_PATH=backend/vbd/$id/51712 block-rbd add"
	"$LAB" guestwait xen1 web1 "lab: guest up" $PATIENCE
	expect_match "$(lockers root)" ",held,w,storage,"
	power_off 1 web1
	nothing_left_there root
	drop_image root
}

# Named by hand, as the domain's name is unknown there.
nameless() {
	refused "$(served rbd:,clone=debian@v1)" "target: no image name, and that of domain "
	expect_eq "$(rbd ls)" "" "images"
}

watch_is_gone() {
	[[ -z $(rbd status --format json rbd/root | jq -r '.watchers[].address') ]]
}

# The driver domain dies, and with it the disk; a new one is the same host after a reboot.
dies() {
	# Ceph would believe for half a minute that it still watches the image, and so would gc.
	trap '"$LAB" ceph ceph config rm osd osd_client_watch_timeout' EXIT
	"$LAB" ceph ceph config set osd osd_client_watch_timeout 12
	root_image root
	serve "$(served rbd:root)"
	x 1 'xl destroy storage'
	x 1 'xl destroy web1'
	wait_gone 1 web1
	start_storage
	expect_match "$(lockers root)" ",held,w,storage," "the entry that it has left"
	eventually $PATIENCE watch_is_gone
	expect_match "$(storage 'block-rbd gc')" "rbd: 1 cleaned up" "what gc says"
	nothing_left_there root
	serve "$(served rbd:root)"
	power_off 1 web1
	nothing_left_there root
	drop_image root
}

# Instead of that of functions.sh, which would take the driver domain for something left behind.
after_each() {
	local host name

	(($1 != 0)) || return 0
	x 1 'xl domid storage' >/dev/null 2>&1 || start_storage
	left_there | sed 's/^/    left there: /'
	storage 'tail -n 12 /var/log/messages; tail -n 12 /var/log/xen/xldevd.log' | sed 's/^/    storage: /'
	for host in 1 2; do
		# shellcheck disable=SC2016 # for the host's shell
		x $host 'for d in $(xl list | awk "NR > 2 && \$1 != \"storage\" { print \$2 }"); do xl destroy $d; done' || :
	done
	for name in $(rbd ls); do
		rbd snap purge --no-progress "$name" 2>/dev/null || :
		rbd rm --no-progress "$name" || :
	done
}

set_up
trap 'x 1 "xl destroy storage"' EXIT
t "a guest's life on a disk from the driver domain" life
t "destroyed while it reads" destroyed
t "a reboot" reboots
t "block-attach and block-detach" comes_and_goes
t "refused: xl create succeeds, and where the reason is" refusals
t "refused, and added by hand while the guest waits" second_try
t "an image named after its domain" nameless
t "the driver domain dies, and its leftovers" dies
summary
