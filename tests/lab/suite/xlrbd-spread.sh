#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# xlrbd evacuate with several hosts to go to, in a lab of three.
. "$(dirname "$0")/migrating.sh"
# shellcheck source=tests/lab/suite/managing.sh
. "$(dirname "$0")/managing.sh"

TOOL=xlrbd
HOSTS=(1 2 3)

here() { # here HOST: its domains
	x "$1" 'xl list' | awk 'NR > 2 { print $1 }' | sort | xargs
}

# The fullest host is not asked first: what is on its way counts there already.
to_both() {
	local i plan rows

	plan=$(evacuate 1 --dry-run)
	expect_eq "$(awk '{ print $2 }' <<<"$plan" | sort | uniq -c | awk '{ print $1 }' | sort | xargs)" "1 2" \
		"domains for each host, as planned: $plan"
	rows=$(evacuate 1)
	echo "note: planned: ${plan//$'\n'/, }; done: ${rows//$'\n'/, }"
	expect_match "$rows" "^web1 xen. moved"$'\n'"web2 xen. moved"$'\n'"web3 xen. moved$" "rows"
	expect_eq "$(awk '{ print $2 }' <<<"$rows" | sort | uniq -c | awk '{ print $1 }' | sort | xargs)" "1 2" \
		"domains for each host"
	eventually $PATIENCE nothing_on 1
	for i in 2 3; do
		expect_eq "$(here $i)" "$(awk "\$2 == \"xen$i\" { print \$1 }" <<<"$rows" | xargs)" "domains on xen$i"
	done
}

# From xen2; xen3, which has more memory left than xen1, has no way to the cluster.
one_refuses() {
	local said rc=0

	XLRBD_LAB_GUEST_MEMORY=320 "$LAB" domcfg -t pvh big | x 1 'cat >/root/big.cfg && xl create -p /root/big.cfg'
	x 3 'mv /etc/ceph/ceph.conf /etc/ceph/away'
	said=$(x 2 'xlrbd evacuate --json 2>/root/said') || rc=$?
	x 3 'mv /etc/ceph/away /etc/ceph/ceph.conf'
	x 1 'xl destroy big'
	x 2 'cat /root/said' | sed 's/^/note: /'
	expect_eq "$rc $(jq -r '.[] | "\(.to) \(.result)"' <<<"$said" | sort -u)" "0 xen1 moved" "rows"
	expect_match "$(jq -r '.[0].detail' <<<"$said")" '^xen3: .*/etc/ceph/ceph.conf: No such file' "why not to xen3"
	eventually $PATIENCE nothing_on 2
}

# From xen3; xen2 is off.
one_is_off() {
	local said rc=0 start

	"$LAB" power-off xen2
	start=$SECONDS
	said=$(x 3 'xlrbd evacuate --json xen2 xen1 2>/root/said') || rc=$?
	x 3 'cat /root/said' | sed 's/^/note: /'
	expect_eq "$rc $(jq -r '.[] | "\(.to) \(.result)"' <<<"$said" | sort -u)" "0 xen1 moved" "rows"
	expect_match "$(x 3 'cat /root/said')" "xlrbd: xen2: " "what is said of xen2"
	echo "note: $((SECONDS - start)) s"
	eventually $PATIENCE nothing_on 3
	"$LAB" power-on xen2
}

to_several() {
	local i

	trap '(($? == 0)) || let_go; for i in 1 2 3; do x $i "rm -f /etc/xen/xlrbd.conf"; done' EXIT
	three_guests
	for i in 1 2 3; do
		x $i 'printf "[hosts]\nxen1 = root@xen1\nxen2 = root@xen2\nxen3 = root@xen3\n" >/etc/xen/xlrbd.conf'
	done
	to_both
	one_refuses
	one_is_off
	end_three_guests
}

t "evacuate to two hosts, to one that cannot, and to one that is off" to_several
summary
