#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The ways a guest can find its kernel, each with its disk in Ceph: first start, reboot, destroy. PV guests on xen1 and
# PVH guests on xen2 at the same time, which halves the wait. Ends with a table.
. "$(dirname "$0")/functions.sh"

# GRUB in a PV guest unpacks the whole kernel in the guest's memory.
export XLRBD_LAB_GUEST_MEMORY=256
GRUB=/srv/guest/grub
BOOT_FILE=$(mktemp)
TABLE=$(mktemp)
trap 'rm -f "$BOOT_FILE" "$TABLE"' EXIT

# What block-rbd has logged of web1 since line $MARK of the host's log, in words: "attached web1 detached 3".
mark() {
	MARK=$(x "$1" 'wc -l </var/log/messages')
}

runs() {
	x "$1" "tail -n +$((MARK + 1)) /var/log/messages" | sed -n '
		s/.* block-rbd\[.*: attached to domain \([^ ]*\) .*/attached \1/p
		s/.* block-rbd\[.*: detached from domain \([0-9]*\).*/detached \1/p' | xargs
}

passed() { # passed ROW CELL: for the table
	echo "$1|$2|passed" >>"$TABLE"
}

# three_cells HOST TYPE WAY [RUNS [NUISANCE]]: WAY as domcfg -b wants it, RUNS what block-rbd does before attaching the
# guest's disk. NUISANCE is a function that makes trouble in dom0 meanwhile.
three_cells() {
	local host=$1 type=$2 way=$3 before=${4:-} nuisance=${5:-} row image=root-$2 domid trouble=""

	row="$(name_of "$type" "$way")|$type"
	rbd import --no-progress "$BOOT_FILE" "rbd/$image"
	mark "$host"
	"$LAB" domcfg -t "$type" -b "$way" web1 "$(disk "rbd:$image")" |
		x "$host" "cat >/root/web1.cfg; rm -f /var/log/xen/console/guest-web1*.log"
	if [[ -n $nuisance ]]; then
		$nuisance "$host" >/dev/null &
		trouble=$!
	fi
	x "$host" "xl create /root/web1.cfg 2>&1"
	# It has seen the disk come and go, or it would still wait.
	[[ -z $trouble ]] || wait $trouble
	"$LAB" guestwait "xen$host" web1 "lab: guest up" "$PATIENCE"
	guest "$host" web1 "echo first-life >/data/witness"
	expect_eq "$(runs "$host")" "${before}attached web1" "runs of block-rbd at the first start"
	passed "$row" first

	mark "$host"
	domid=$(x "$host" 'xl domid web1')
	"$LAB" type "xen$host" -n web1 reboot
	"$LAB" guestwait "xen$host" web1 "lab: guest up" "$PATIENCE" 2
	expect_match "$(guest "$host" web1 'cat /data/witness')" first-life
	expect_eq "$(runs "$host")" "detached $domid ${before}attached web1" "runs of block-rbd at the reboot"
	expect_eq "$(lockers "$image" | wc -l)" 1 "entries after the reboot"
	passed "$row" reboot

	x "$host" 'xl destroy web1'
	wait_gone "$host" web1
	expect_eq "$(left "$host")$(lockers "$image")" "" "left after the destroy"
	passed "$row" destroy
	drop_image "$image"
}

name_of() { # name_of TYPE WAY
	case $1-$2 in
	*-) echo "direct kernel" ;;
	*-pygrub) echo PyGrub ;;
	pv-*) echo PV-GRUB2 ;;
	pvh-*) echo pvh-grub ;;
	esac
}

# Neither may be left running when the test ends, whichever fails.
both() {
	local pid rc=0
	for pid in $(jobs -p); do
		wait "$pid" || rc=1
	done
	return $rc
}

direct() {
	three_cells 1 pv "" &
	three_cells 2 pvh "" &
	both
}

# libxl attaches the disk to dom0 first, whose udev looks at it as at every disk. More trouble than that: one who looks
# again and again, as blkid does, and one who keeps it open, as LVM does that has found a volume group.
pygrub() {
	local before="attached Domain-0 detached 0 "

	three_cells 1 pv pygrub "$before" looked_at &
	three_cells 2 pvh pygrub "$before" kept_open &
	both
}

looked_at() {
	x "$1" 'until [ -b /dev/xvda ]; do busybox usleep 50000; done
		while [ -b /dev/xvda ]; do blkid -p /dev/xvda || :; done'
}

kept_open() {
	x "$1" 'until [ -b /dev/xvda ]; do busybox usleep 50000; done
		exec 3</dev/xvda
		while [ -b /dev/xvda ]; do busybox usleep 50000; done'
}

grub() {
	three_cells 1 pv $GRUB-x86_64-xen.bin &
	three_cells 2 pvh $GRUB-i386-xen_pvh.bin &
	both
}

table() {
	local way type cell found line

	printf '# %-14s %-6s %-12s %-12s %s\n' "boot path" guest "first start" reboot destroy
	while read -r type way; do
		line=$(printf '%-14s %-6s' "$way" "$type")
		for cell in first reboot destroy; do
			found=$(grep -cxF "$way|$type|$cell|passed" "$TABLE" || :)
			line+=$(printf ' %-12s' "$( ((found)) && echo passed || echo "not passed")")
		done
		echo "# $line"
	done <<-ROWS
	pv direct kernel
	pvh direct kernel
	pv PyGrub
	pvh PyGrub
	pv PV-GRUB2
	pvh pvh-grub
	ROWS
	# Without them libxl gives up before it attaches a disk.
	echo "# any            hvm    not tried: the hosts have neither SeaBIOS nor a device model"
}

"$LAB" mkroot -b "$BOOT_FILE"
t "direct kernel: PV and PVH" direct
t "PyGrub: PV and PVH, with others at the disk in dom0" pygrub
t "GRUB in the guest: PV-GRUB2, pvh-grub" grub
table
summary
