# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# The lab's two networks, in a namespace of their own: the machine's network is not touched, and with the namespace
# everything in it goes. Host xenN has a card on each: tap sN on br-storage, tap mN on br-manage.

network_up() {
	local hosts=$1 n

	ip netns add "$LAB_NS"
	ip -n "$LAB_NS" link set lo up
	network_bridge br-storage "$LAB_STORAGE_NET.1/24"
	network_bridge br-manage "$LAB_MANAGEMENT_NET.1/24"
	for ((n = 1; n <= hosts; n++)); do
		network_tap "s$n" br-storage
		network_tap "m$n" br-manage
	done
}

network_bridge() {
	ip -n "$LAB_NS" link add "$1" type bridge
	ip -n "$LAB_NS" addr add "$2" dev "$1"
	ip -n "$LAB_NS" link set "$1" up
}

network_tap() {
	ip -n "$LAB_NS" tuntap add "$1" mode tap
	ip -n "$LAB_NS" link set "$1" master "$2" up
}

network_down() {
	ip netns del "$LAB_NS" 2>/dev/null || :
}

# The host sees no difference: its card stays up, only nothing comes and goes any more, as behind a broken switch.
lab_cut() {
	need_host "$1"
	ip -n "$LAB_NS" link set "s${1#xen}" down
}

lab_heal() {
	need_host "$1"
	ip -n "$LAB_NS" link set "s${1#xen}" up
}
