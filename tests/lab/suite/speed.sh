#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# How long add and remove take on a real host, beside the kernel alone, the rbd command, and a shell script around that
# command as people use it today.  All in one run on one host, as a machine's mood changes; judged by ratios only.
# Also: no secret is readable while the helper runs there.
. "$(dirname "$0")/functions.sh"

RUNS=${XLRBD_RUNS:-5}

# What a script around `rbd map` has to do at the least: look the image up, map it, find the device, tell blkback.
shell_script() {
	cat <<'SCRIPT'
#!/bin/bash
. "$(dirname "$0")/block-common.sh"
pool=${2%%:*} image=${2#*:}
case $command in
add)
	[ -r /etc/ceph/ceph.conf ] && lsmod | grep -q '^rbd ' || fatal "no rbd"
	rbd --id xen list "$pool" | grep -q "$image" || fatal "no image"
	rbd --id xen map "$pool/$image" >/dev/null || fatal "no map"
	dev=/dev/rbd/$pool/$image
	[ -b "$dev" ] || fatal "no device"
	write_dev "$dev"
	;;
remove)
	rbd --id xen unmap "/dev/rbd/$pool/$image" || fatal "no unmap"
	;;
esac
SCRIPT
}

# Runs in the host; prints "WAY STEP MILLISECONDS" lines.  Nodes in state 2 are nothing to blkback, which looks for new
# devices in state 1: so helpers can be run alone, against the real xenstored and the real driver.
measure() {
	cat <<'MEASURE'
set -e
trap 'xenstore-rm /local/domain/0/backend/vbd/4242 2>/dev/null || :' EXIT
runs=$1 key=$2
vbd=backend/vbd/4242/51712 be=/local/domain/0/backend/vbd/4242/51712
nodes() {
	xenstore-write $be/frontend /local/domain/4242/device/vbd/51712 $be/params rbd:speed $be/mode w \
		$be/state 2 $be/online 1 $be/type phy
}
timed() { # timed WAY STEP COMMAND...
	local way=$1 step=$2 start=${EPOCHREALTIME/./}
	shift 2
	"$@" >/dev/null
	echo "$way $step $(((${EPOCHREALTIME/./} - start) / 1000))"
}
kernel_map() {
	echo "10.77.0.1:6789 name=xen,secret=$key rbd speed -" >/sys/bus/rbd/add_single_major
}
kernel_unmap() {
	local id
	id=$(ls /sys/bus/rbd/devices)
	until echo "$id" >/sys/bus/rbd/remove_single_major; do :; done 2>/dev/null
}
export XENBUS_PATH=$vbd XENBUS_TYPE=vbd XENBUS_BASE_PATH=backend script=/etc/xen/scripts/block-rbd
helper() { # helper WAY PROGRAM...
	local way=$1
	shift
	nodes
	timed "$way" add "$@"
	xenstore-read $be/physical-device >/dev/null
	xenstore-write $be/state 6 $be/online 0
	timed "$way" remove "${@/#add/remove}"
	xenstore-rm $be
}
for ((i = 0; i < runs; i++)); do
	timed kernel add kernel_map
	udevadm settle
	timed kernel remove kernel_unmap
	timed rbd add rbd --id xen map rbd/speed
	udevadm settle
	timed rbd remove rbd --id xen unmap rbd/speed
	helper script /etc/xen/scripts/block-shell add rbd:speed
	helper block-rbd block-rbd add
done
MEASURE
}

side_by_side() {
	local way key

	rbd create --size 8M rbd/speed
	key=$(x 1 "sed -n 's/.*key = //p' /etc/ceph/ceph.client.xen.keyring")
	shell_script | x 1 'cat >/etc/xen/scripts/block-shell && chmod +x /etc/xen/scripts/block-shell'
	FIGURES=$(measure | x 1 "cat >/root/measure.sh && bash /root/measure.sh $RUNS '$key'")
	x 1 'rm /root/measure.sh /etc/xen/scripts/block-shell'
	echo "note: $(printf '%-24s %-18s %s' "$RUNS runs" "add: ms (range)" "remove: ms (range)")"
	for way in kernel rbd script block-rbd; do
		echo "note: $(printf '%-24s %-18s %s' "$way" "$(median $way add) ($(range $way add))" \
			"$(median $way remove) ($(range $way remove))")"
	done
	echo "note: block-rbd add is $(ratio block-rbd script add) of the script's, $(ratio block-rbd rbd add) of rbd map's"
	nothing_left speed
	drop_image speed
	# The goals: 0.35 of the script, and less than rbd map alone.
	(($(median block-rbd add) * 100 <= $(median script add) * 35)) || fail "more than 0.35 of the script"
	(($(median block-rbd add) < $(median rbd add))) || fail "slower than rbd map alone"
}

ratio() { # ratio WAY OTHER STEP
	awk -v a="$(median "$1" "$3")" -v b="$(median "$2" "$3")" 'BEGIN { printf "%.2f", a / b }'
}

secrets() {
	local key pid

	rbd create --size 8M rbd/web1
	key=$(x 1 "sed -n 's/.*key = //p' /etc/ceph/ceph.client.xen.keyring")
	"$LAB" cluster pause osd
	boot 1 web1 "$(disk rbd:web1)" -- 'extra = "console=hvc0 mitigations=off quiet root=none"' &
	pid=$!
	eventually $PATIENCE x 1 'pgrep -x block-rbd >/dev/null'
	search "$key" "while it runs"
	"$LAB" cluster resume osd
	wait $pid
	search "$key" "when attached"
	"$LAB" guestwait xen1 web1 "lab: guest up" $PATIENCE
	power_off 1 web1
	nothing_left web1
	drop_image web1
}

search() { # search KEY WHEN: in all that is not closed to everybody but root, and in what root's processes show
	local found

	# The key comes on stdin, not in an argument, which would be found.
	# shellcheck disable=SC2016 # for the host's shell
	found=$(x 1 'read -r key; {
		for f in /proc/[0-9]*/cmdline /proc/[0-9]*/environ; do tr "\0" "\n" <$f; done 2>/dev/null
		xenstore-ls -f
		find /run /sys/bus/rbd/devices/ -follow -maxdepth 3 -type f -perm -o=r -exec cat {} + 2>/dev/null
		find /run/xlrbd -type f -exec cat {} +
		cat /var/log/messages /var/log/xen/*.log
	} >/tmp/all; grep -c block-rbd /tmp/all; grep -F -- "$key" /tmp/all || echo clean; rm /tmp/all' <<<"$1")
	expect_match "$found" '^[1-9][0-9]*'$'\n''clean$' "$2"
}

t "kernel, rbd map, shell script and block-rbd side by side" side_by_side
t "no secret is readable on a real host" secrets
summary
