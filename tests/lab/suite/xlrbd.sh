#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The operator's tool: definitions, starting and stopping, what can be wrong with a host, and what becomes of its domains
# when it dies.  A domain's whole life, with migrations, is in xlrbd-migrate.sh.
. "$(dirname "$0")/functions.sh"
# shellcheck source=tests/lab/suite/managing.sh
. "$(dirname "$0")/managing.sh"

definitions() {
	local cfg

	root_image root
	define 1 web1 "$(disk rbd:root)" -- 'vif = [ "bridge=none", "bridge=none,mac=00:16:3e:00:00:07" ]'
	expect_match "$(x 2 'xlrbd show web1')" "MAC 00:16:3e:[0-9a-f:]{8} 00:16:3e:00:00:07"
	cfg=$(x 2 'xlrbd show web1')
	# Two editors.
	x 1 'xlrbd show web1 >/root/one; echo "# one" >>/root/one'
	x 2 'xlrbd show web1 >/root/two; echo "# two" >>/root/two; xlrbd define /root/two'
	expect_fail x 1 'xlrbd define /root/one 2>&1'
	expect_match "$OUTPUT" "web1: yours is made from version 1, but xen2 has stored version 2 at "
	expect_match "$(x 1 'xlrbd show web1 | tail -n 1')" "# two"
	# Neither UUID nor MAC has changed.
	expect_eq "$(x 1 'xlrbd show web1 | head -n 1' | grep -o 'UUID.*')" "$(head -n 1 <<<"$cfg" | grep -o 'UUID.*')"
	expect_match "$(x 1 'xlrbd define --force /root/one')" "web1: version 3"
	# Another domain may have neither.
	expect_fail x 1 "sed 's/^name.*/name = \"web2\"/' /root/one >/root/other; xlrbd define /root/other 2>&1"
	expect_match "$OUTPUT" "web2: mac:00:16:3e:00:00:07 is domain web1's"
	expect_fail x 1 'echo "name = " >/root/bad; xlrbd define /root/bad 2>&1'
	expect_match "$OUTPUT" "xl does not take it"
	x 1 'xlrbd undefine web1'
	expect_fail x 2 'xlrbd create web1 2>&1'
	expect_match "$OUTPUT" 'no domain "web1" is defined in rbd'
	no_trace root
	drop_image root
}

monitor_killed() {
	root_image root
	define 1 web1 "$(disk rbd:root)" >/dev/null
	create 1 web1
	# shellcheck disable=SC2016 # for the host's shell
	x 1 'kill -9 $(pgrep -f "^[^ ]* monitor [0-9]+$")'
	expect_match "$(x 1 'xlrbd shutdown --wait web1 2>&1')" "its monitor was lost; starting another one"
	x 1 'xlrbd undefine web1'
	no_trace root
	drop_image root
}

stopped() {
	root_image root
	define 1 web1 "$(disk rbd:root)" >/dev/null
	x 1 'rm -f /var/log/xen/console/guest-web1*.log'
	expect_eq "$(x 1 'xlrbd create --paused --json web1' | jq -r '.[] | "\(.domain) \(.domid)"')" "web1 $(x 1 'xl domid web1')"
	expect_eq "$(x 1 'xlrbd create --json web1' | jq -r '.[].domid')" "$(x 1 'xl domid web1')" "the one that is there"
	expect_match "$(x 1 'xl list web1')" " [rb-]{2}p--- "
	x 1 'xlrbd unpause web1'
	"$LAB" guestwait xen1 web1 "lab: guest up" $PATIENCE
	x 1 'xlrbd pause web1'
	expect_match "$(x 1 'xl list web1')" " [rb-]{2}p--- "
	expect_fail x 1 'xlrbd shutdown --wait web1 2>&1'
	expect_match "$OUTPUT" "web1: is paused, so it cannot hear"
	x 1 'xlrbd unpause web1'
	# It hears it and goes on.
	guest 1 web1 'echo /bin/true >/proc/sys/kernel/poweroff_cmd'
	expect_fail x 1 'xlrbd shutdown --wait --timeout 3 web1 2>&1'
	expect_match "$OUTPUT" "web1: still there; .xlrbd destroy web1. ends it"
	x 1 'xlrbd shutdown --destroy-after --timeout 3 web1 2>&1'
	expect_eq "$(lockers root)" "" "entries when shutdown has returned"
	# By its file, as xl does it.
	x 1 'cd /root && xlrbd create web1.def'
	x 1 'xlrbd destroy web1'
	expect_eq "$(lockers root)" "" "entries when destroy has returned"
	x 1 'xlrbd undefine web1'
	no_trace root
	drop_image root
}

not_created() {
	root_image root
	rbd create --size 8M rbd/other
	define 1 web1 "$(disk rbd:root)" "$(disk rbd:other xvdb)" >/dev/null
	define 2 web2 "$(disk rbd:other)" >/dev/null
	x 2 'xlrbd create --paused web2'
	# The second disk fails: the first one goes again, and the domain.
	expect_fail x 1 'xlrbd create web1 2>&1'
	expect_match "$OUTPUT" "rbd/other: held for writing by domain web2"
	expect_eq "$(lockers root)" "" "entries of the first disk"
	expect_eq "$(left 1)" "" "left on xen1"
	x 2 'xlrbd destroy web2'
	define 1 web3 "$(disk rbd:root)" -- 'memory = 100000' >/dev/null
	expect_fail x 1 'xlrbd create web3 2>&1'
	expect_match "$OUTPUT" "web3: needs 10[0-9]* MB of memory, and this host has [0-9]+ MB left"
	# Before there is a domain, and all of them.
	define 1 web4 "$(disk rbd:nothing)" "$(disk rbd:neither xvdb)" >/dev/null
	expect_fail x 1 'xlrbd create web4 2>&1'
	expect_match "$OUTPUT" "^xlrbd: web4: xvda: rbd/nothing: no such image.*"$'\n'"xlrbd: web4: xvdb: rbd/neither: no such image[^"$'\n'"]*\$"
	for i in 1 2 3 4; do
		x 1 "xlrbd undefine web$i"
	done
	no_trace root other
	drop_image root other
}

host_dies() {
	local i

	for i in 1 2 3; do
		root_image "root$i"
		define 1 "web$i" "$(disk "rbd:root$i")" >/dev/null
		x 1 "xlrbd create web$i"
	done
	"$LAB" power-off xen1
	expect_match "$(where 2 web1)" "xen1 (running|silent)"
	eventually $PATIENCE is_silent web1 web2 web3
	x 2 'xlrbd list --cluster'
	expect_fail x 2 'xlrbd create web1 2>&1'
	expect_match "$OUTPUT" "web1: was running on xen1, which is silent"
	expect_match "$(x 2 'xlrbd takeover --dry-run web1')" "rbd/root2 +web2 +xen1"
	x 2 'xlrbd takeover --yes web1 web2 web3'
	for i in 1 2 3; do
		x 2 "xlrbd create web$i"
	done
	for i in 1 2 3; do
		"$LAB" guestwait xen2 "web$i" "lab: guest up" $PATIENCE
		expect_match "$(where 2 "web$i")" "xen2 running"
	done
	for i in 1 2 3; do
		x 2 "xlrbd shutdown --wait web$i; xlrbd undefine web$i"
	done
	"$LAB" power-on xen1
	x 1 'xlrbd gc'
	no_trace root1 root2 root3
	drop_image root1 root2 root3
}

is_silent() {
	local name

	for name; do
		[[ $(where 2 "$name") == "xen1 silent" ]] || return 1
	done
}

result_of() { # result_of CHECK: "ok DETAIL" or "trouble DETAIL", as xen1 sees it
	x 1 'xlrbd check -j 2>/dev/null' | jq -r --arg check "$1" '.[] | select(.check == $check) | "\(.result) \(.detail)"'
}

lvm_says() { # lvm_says RESULT LINE...: of that configuration of its devices
	local result=$1

	shift
	printf '%s\n' "$@" | x 1 '{ echo "devices {"; cat; echo "}"; } >/etc/lvm/lvmlocal.conf'
	expect_match "$(result_of LVM)" "^$result " "LVM with $*"
}

multipath_says() { # multipath_says RESULT [SECTION LINE]...
	local result=$1

	shift
	(($# == 0)) || printf '%s {\n\t%s\n}\n' "$@" | x 1 'cat >/etc/multipath.conf'
	expect_match "$(result_of multipath)" "^$result " "multipath with $*"
}

# What the real ones make of what an admin may have written.
scanners() {
	lvm_says trouble
	lvm_says trouble 'global_filter = [ "a|^/dev/|", "r|^/dev/rbd|" ]'
	lvm_says ok 'filter = [ "a|^/dev/sd|", "r|.*|" ]'
	x 1 'mkdir -p /etc/lvm/devices && touch /etc/lvm/devices/system.devices'
	lvm_says trouble 'use_devicesfile = 0'
	lvm_says ok 'use_devicesfile = 1'
	lvm_says ok 'global_filter = [ "r|^/dev/rbd|" ]'
	multipath_says ok
	multipath_says trouble blacklist_exceptions 'devnode "^(rbd|sd)"'
	multipath_says trouble blacklist 'devnode "!^sd"' blacklist_exceptions 'devnode "."'
	multipath_says ok blacklist 'devnode "^rbd"'
}

# Things that are wrong one after the other, and mended again.
checks() {
	local caps

	scanners
	x 1 'printf "[hosts]\nxen2 = root@xen2\n" >/etc/xen/xlrbd.conf; chmod o= /etc/ceph/ceph.client.xen.keyring'
	x 1 'xlrbd check'
	expect_match "$(result_of 'host xen2')" "^ok root@xen2, xlrbd "
	x 1 'chmod o+r /etc/ceph/ceph.client.xen.keyring'
	expect_fail x 1 'xlrbd check'
	expect_match "$(result_of keyring)" "^trouble .*run .chmod o= /etc/ceph/ceph.client.xen.keyring"
	x 1 'chmod o= /etc/ceph/ceph.client.xen.keyring; mv /etc/xen/scripts/block-rbd /root/'
	expect_match "$(result_of 'script for xl')" "^trouble /etc/xen/scripts/block-rbd: No such file"
	x 1 'mv /root/block-rbd /etc/xen/scripts/; rmmod rbd'
	expect_match "$(result_of 'kernel: rbd')" "^trouble .*run .modprobe rbd"
	x 1 'modprobe rbd; echo "xen3 = root@nowhere" >>/etc/xen/xlrbd.conf'
	expect_match "$(result_of 'host xen3')" "^trouble .ssh root@nowhere xlrbd --version. fails"
	caps=$("$LAB" ceph ceph auth get client.xen --format json | jq -r '.[0].caps | "mon \u0027\(.mon)\u0027 osd \u0027\(.osd)\u0027"')
	"$LAB" ceph ceph auth caps client.xen mon 'allow r' osd 'profile rbd-read-only'
	expect_match "$(result_of 'images')" "^ok"
	expect_match "$(result_of 'caps: locks; clock')" "^trouble .*the caps of client.xen are too small"
	expect_match "$(result_of 'caps: fences, for takeover')" "^trouble "
	eval "$(printf '"$LAB" ceph ceph auth caps client.xen %s' "$caps")"
	x 1 'rm /etc/xen/xlrbd.conf; xlrbd check'
}

t "check: what can be wrong, and how to mend it" checks
t "definitions: two editors, UUIDs and MACs, mistakes" definitions
t "a monitor killed is replaced" monitor_killed
t "pause, shutdown that is not heard, destroy" stopped
t "a create that fails undoes everything" not_created
t "a host dies: its three domains on the other one" host_dies
summary
