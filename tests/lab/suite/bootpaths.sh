#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The ways a guest can find its kernel, each with its disk in Ceph: first start, reboot, destroy. Each host works through
# rows of its own, at the same time, which halves the wait. Ends with a table.
. "$(dirname "$0")/functions.sh"

# GRUB in a PV guest unpacks the whole kernel in the guest's memory.
export XLRBD_LAB_GUEST_MEMORY=256
# Guests that load and unpack their kernel themselves are the slowest there are.
PATIENCE=300
GRUB=/srv/guest/grub
RESULTS=$(mktemp -d)
BOOT_FILE=$RESULTS/boot
BIOS_FILE=$RESULTS/bios

# Host, guest, what boots (domcfg -b), and its name.
ROWS=(
	"1 pv kernel direct kernel"
	"2 pvh kernel direct kernel"
	"1 pv pygrub PyGrub"
	"2 pvh pygrub PyGrub"
	"1 pv $GRUB-x86_64-xen.bin PV-GRUB2"
	"2 pvh $GRUB-i386-xen_pvh.bin pvh-grub"
	"1 hvm kernel direct kernel"
	"2 hvm bios SeaBIOS, GRUB"
)

end() {
	local pid
	for pid in $(jobs -p); do
		kill "$pid" 2>/dev/null || :
	done
	rm -rf "$RESULTS"
}
trap end EXIT

# What block-rbd has logged of web1 since line $MARK of the host's log, in words: "attached web1 detached 3".
mark() {
	MARK=$(x "$1" 'wc -l </var/log/messages')
}

runs() {
	x "$1" "tail -n +$((MARK + 1)) /var/log/messages" | sed -n '
		s/.* block-rbd\[.*: attached to domain \([^ ]*\) .*/attached \1/p
		s/.* block-rbd\[.*: detached from domain \([0-9]*\).*/detached \1/p' | xargs
}

# three_cells ROW HOST TYPE WAY
three_cells() {
	local row=$1 host=$2 type=$3 way=$4 image=root-$2 before="" domid up trouble=""

	up="lab: guest up, root $(root_of "$type" "$way")"
	rbd import --no-progress "$(file_of "$way")" "rbd/$image"
	mark "$host"
	"$LAB" domcfg -t "$type" -b "${way#kernel}" web1 "$(disk "rbd:$image")" |
		x "$host" "cat >/root/web1.cfg; rm -f /var/log/xen/console/guest-web1*.log"
	if [[ $way == pygrub ]]; then
		# libxl attaches the disk to dom0 first.
		before="attached Domain-0 detached 0 "
		nuisance "$host" "$type" >/dev/null &
		trouble=$!
	fi
	x "$host" "xl create /root/web1.cfg 2>&1"
	# It has seen the disk come and go, or it would still wait.
	[[ -z $trouble ]] || wait $trouble
	"$LAB" guestwait "xen$host" web1 "$up" "$PATIENCE"
	guest "$host" web1 "echo first-life >/data/witness"
	expect_eq "$(runs "$host")" "${before}attached web1" "runs of block-rbd at the first start"
	[[ $type != hvm ]] || model_has_disk "$host"
	touch "$RESULTS/$row.first"

	mark "$host"
	domid=$(x "$host" 'xl domid web1')
	"$LAB" type "xen$host" -n web1 reboot
	"$LAB" guestwait "xen$host" web1 "$up" "$PATIENCE" 2
	expect_match "$(guest "$host" web1 'cat /data/witness')" first-life
	expect_eq "$(runs "$host")" "detached $domid ${before}attached web1" "runs of block-rbd at the reboot"
	expect_eq "$(lockers "$image" | wc -l)" 1 "entries after the reboot"
	[[ $type != hvm ]] || model_has_disk "$host"
	touch "$RESULTS/$row.reboot"

	x "$host" 'xl destroy web1'
	wait_gone "$host" web1
	expect_eq "$(left "$host")$(lockers "$image")$(x "$host" 'pgrep -a xen-qemu || :')" "" "left after the destroy"
	touch "$RESULTS/$row.destroy"
	drop_image "$image"
}

file_of() { # file_of WAY
	if [[ $1 == bios ]]; then echo "$BIOS_FILE"; else echo "$BOOT_FILE"; fi
}

# As the guest sees it. HVM with the lab's kernel has nothing but the device model's disk; the other one starts with
# that, too, and goes on with blkfront's.
root_of() { # root_of TYPE WAY
	case $1-$2 in
	hvm-kernel) echo /dev/sda ;;
	hvm-bios) echo /dev/xvda1 ;;
	*) echo /dev/xvda ;;
	esac
}

# libxl takes the path for the device model from what block-rbd has written; nothing else names it.
model_has_disk() { # model_has_disk HOST
	# shellcheck disable=SC2016 # for the host's shell
	x "$1" 'id=$(xl domid web1)
		path=$(xenstore-read /local/domain/0/backend/vbd/$id/51712/physical-device-path)
		model=$(xenstore-read /local/domain/$id/image/device-model-pid)
		readlink /proc/$model/fd/* | grep -xF -- "$path"' || fail "the device model does not have the disk open"
}

# In dom0, whose udev looks at the disk as at every other. More trouble than that: one who looks again and again, as
# blkid does, and one who keeps it open, as LVM does that has found a volume group.
nuisance() { # nuisance HOST TYPE
	local look='while [ -b /dev/xvda ]; do blkid -p /dev/xvda || :; done'
	[[ $2 == pv ]] || look='exec 3</dev/xvda; while [ -b /dev/xvda ]; do busybox usleep 50000; done'
	x "$1" timeout "$PATIENCE" sh -c "until [ -b /dev/xvda ]; do busybox usleep 50000; done; $look"
}

# A host's rows, one after the other; N.rc is written when row N is over.
lane() { # lane HOST
	local row host type way name start rc

	for row in "${!ROWS[@]}"; do
		read -r host type way name <<<"${ROWS[row]}"
		[[ $host == "$1" && "$type: $name" =~ ${XLRBD_TESTS:-} ]] || continue
		start=$SECONDS
		# As in t: not in a condition.
		set +e
		(
			set -e
			three_cells "$row" "$host" "$type" "$way"
		) >"$RESULTS/$row.log" 2>&1
		rc=$?
		((rc == 0)) || tidy "$host" >>"$RESULTS/$row.log" 2>&1
		set -e
		echo "note: it took $((SECONDS - start)) s" >>"$RESULTS/$row.log"
		echo $rc >"$RESULTS/$row.part"
		mv "$RESULTS/$row.part" "$RESULTS/$row.rc"
	done
}

# After a row that failed the host's next must find it clean; what was there is shown. The other host is not touched.
tidy() { # tidy HOST
	printf 'left: %s\n' "$(left "$1")"
	x "$1" 'grep -v sshd /var/log/messages | tail -n 8
		cd /var/log/xen; tail -n 8 console/guest-web1.log qemu-dm-web1.log' 2>&1
	# shellcheck disable=SC2016 # for the host's shell
	x "$1" 'xl destroy web1
		for f in /run/xlrbd/vbd-*; do
			[ -e $f ] && b=${f##*/vbd-} && XENBUS_PATH=backend/vbd/${b%-*}/${b#*-} block-rbd remove
		done' >/dev/null 2>&1
	drop_image "root-$1"
}

after_each() { :; }

result() { # result ROW: when it is there
	eventually 3000 test -e "$RESULTS/$1.rc"
	cat "$RESULTS/$1.log"
	return "$(<"$RESULTS/$1.rc")"
}

table() {
	local row type name cell line

	printf '# %-14s %-6s %-12s %-12s %s\n' "boot path" guest "first start" reboot destroy
	for row in "${!ROWS[@]}"; do
		read -r _ type _ name <<<"${ROWS[row]}"
		line=$(printf '%-14s %-6s' "$name" "$type")
		for cell in first reboot destroy; do
			line+=$(printf ' %-12s' "$([[ -e $RESULTS/$row.$cell ]] && echo passed || echo "not passed")")
		done
		echo "# $line"
	done
}

"$LAB" mkroot -b "$BOOT_FILE"
"$LAB" mkroot -m "$BIOS_FILE"
lane 1 &
lane 2 &
for row in "${!ROWS[@]}"; do
	read -r _ type _ name <<<"${ROWS[row]}"
	t "$type: $name" result "$row"
done
table
summary
