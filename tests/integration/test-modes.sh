#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Every cell of the table of modes, within a host and across two; and who is
# let in although the table says no.
set -euo pipefail

# shellcheck source=tests/integration/functions.sh
source "$(dirname "$0")/functions.sh"

DISK=51712
UUID=82de1d03-0000-4000-8000-00000000abcd

attach() { # attach HOST DOMID MODE [NAME] [UUID]
	local access=${3:0:1}

	vbd_new "$1" "$2" $DISK "$access" "rbd:image,mode=$3" "${@:4}"
	rbd_add "$1" "$2" $DISK
}

goes_together() {
	case "$1 $2" in
	"r r" | "w! w!" | r!\ * | *\ r!) ;;
	*) return 1 ;;
	esac
}

cell() { # cell HOST FIRST SECOND: the second comes on HOST
	declare -A names=([r]=reading [w]=writing [r!]="shared reading" [w!]="shared writing")
	attach 1 1 "$2"
	if goes_together "$2" "$3"; then
		attach "$1" 2 "$3"
		expect_eq "$(lockers image | grep -o ',held,' | wc -l)" 2
	else
		expect_fail attach "$1" 2 "$3"
		expect_match "$(vbd_read "$1" 2 $DISK hotplug-error)" \
			"^rbd/image: held for ${names[$2]}.* by domain vm1 \($(default_uuid 1 1)\) on host xen1 since 20"
		expect_eq "$(vbd_read "$1" 2 $DISK hotplug-status)" error
	fi
	vbd_gone "$1" 2 $DISK
	vbd_gone 1 1 $DISK
	nothing_left
}

table() {
	local host first second features

	for features in layering "layering exclusive-lock object-map fast-diff deep-flatten"; do
		# shellcheck disable=SC2046,SC2086 # words
		rbd create --size 10M $(printf -- '--image-feature %s ' $features) image
		for host in 1 2; do
			for first in r w r! w!; do
				for second in r w r! w!; do
					cell $host $first $second ||
						fail "$features: $first, then $second on host $host"
				done
			done
		done
		rbd rm --no-progress image
	done
}

access_and_mode() {
	rbd create --size 10M image
	vbd_new 1 1 $DISK r rbd:image,mode=w!
	expect_fail rbd_add 1 1 $DISK
	expect_eq "$(vbd_read 1 1 $DISK hotplug-error)" \
		"rbd/image: mode=w! in target does not go with access=ro of the disk"
	vbd_gone 1 1 $DISK
	nothing_left
}

# xl adds the destination's disks while the source still has them.
migration() {
	rbd create --size 10M image
	attach 1 1 w web1 $UUID
	attach 2 5 w web1--incoming $UUID
	expect_eq "$(lockers image | grep -o ',held,' | wc -l)" 2
	# Each side withdraws its own entry: the source, when all went well.
	vbd_gone 1 1 $DISK
	expect_match "$(lockers image)" ',held,w,xen2,'
	expect_no_match "$(lockers image)" xen1
	# And back; this time it fails and the destination goes.
	attach 1 7 w web1--incoming $UUID
	vbd_gone 1 7 $DISK
	expect_match "$(lockers image)" ',held,w,xen2,'
	vbd_gone 2 5 $DISK
	nothing_left
}

not_a_migration() {
	rbd create --size 10M image
	attach 1 1 w web1 $UUID
	# The same UUID started by hand.
	expect_fail attach 2 5 w web1 $UUID
	vbd_gone 2 5 $DISK
	# Somebody else's migration.
	expect_fail attach 2 6 w web2--incoming "${UUID%d}e"
	vbd_gone 2 6 $DISK
	expect_eq "$(lockers image | grep -o ',held,' | wc -l)" 1
	vbd_gone 1 1 $DISK
	nothing_left
}

# An HVM guest's disks are attached to its device model's domain as well.
stub_domain() {
	rbd create --size 10M image
	attach 1 5 w web1 $UUID
	vbd_new 1 7 $DISK w rbd:image web1-dm
	expect_fail rbd_add 1 7 $DISK
	xs 1 write /local/domain/7/target 5
	rbd_add 1 7 $DISK
	expect_match "$(lockers image)" ',held,w,xen1,[^,]*,[^,]*,7/5,51712,'
	# Others stay out, also those of the same numbers on another host.
	expect_fail attach 2 5 w web1 $UUID
	vbd_gone 2 5 $DISK
	vbd_gone 1 7 $DISK
	vbd_gone 1 5 $DISK
	nothing_left
}

world_start 2
t "the table of modes: 2 kinds of image x 2 hosts x 16 cells" table
t "mode= against access=" access_and_mode
t "a migration's destination joins the source" migration
t "the same UUID by hand, and another's migration, are refused" not_a_migration
t "a stub domain beside its target" stub_domain
summary
