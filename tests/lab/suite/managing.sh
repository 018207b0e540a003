# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# What the suites of xlrbd share, on top of functions.sh.

define() { # define HOST [-t TYPE] NAME DISK... [-- LINE...]: what xlrbd define prints
	local host=$1 type=()

	shift
	if [[ $1 == -t ]]; then
		type=(-t "$2")
		shift 2
	fi
	local name=$1
	"$LAB" domcfg "${type[@]}" "$@" | x "$host" "cat >/root/$name.def && xlrbd define /root/$name.def 2>&1"
}

create() { # create HOST NAME: and waits for the guest's userspace
	x "$1" "rm -f /var/log/xen/console/guest-$2*.log; xlrbd create $2 2>&1"
	"$LAB" guestwait "xen$1" "$2" "lab: guest up" $PATIENCE
}

where() { # where HOST NAME: "xen2 running", as HOST sees it
	x "$1" "xlrbd where -j $2" | jq -r '.[] | "\(.host) \(.status)"'
}

monitors() { # of one host, by domain
	# shellcheck disable=SC2016 # for the host's shell
	x "$1" 'for p in $(pgrep -f "^[^ ]* monitor [0-9]+$"); do tr "\0" " " </proc/$p/cmdline; echo; done' |
		awk '{ print $3 }' | xargs
}

no_trace() { # no_trace IMAGE...: not even a definition
	local host

	nothing_left "$@"
	for host in "${HOSTS[@]}"; do
		expect_eq "$(monitors "$host")" "" "monitors on xen$host"
		expect_eq "$(x "$host" 'xlrbd list --cluster --json')" "[]" "domains that xen$host sees"
	done
	expect_eq "$(x 1 'xlrbd list --defined --json')" "[]" "definitions"
}

no_monitor() {
	[[ -z $(monitors "$1") ]]
}

# A monitor takes a moment to see that its domain has gone.
nothing_on() { # nothing_on HOST
	[[ -z $(left "$1") ]]
}

# refused WHY [WHERE]: web1 is not migrated, which is said together with the reason, soon, and nothing has become of it.
refused() {
	local begin=$SECONDS

	migrate "${2:-xen$TO}"
	failed
	echo "note: $(<"$SAID") ($((SECONDS - begin)) s)"
	((SECONDS - begin <= 30)) || fail "refused after $((SECONDS - begin)) s"
	grep -qE "^xlrbd: web1: not migrated: .*$1.*; it goes on here$" "$SAID" || fail "not said: $1"
	expect_eq "$(holders)" "held,xen$FROM" "holders"
	goes_on "$FROM"
}

# at_home HOST: settled there, with a monitor that watches it and no other record than that of its disk.
at_home() {
	local domid

	settled "$1"
	domid=$(x "$1" "xl domid web1")
	expect_eq "$(monitors "$1")" "$domid" "monitors on xen$1"
	expect_eq "$(x "$1" "ls /run/xlrbd | grep -v ^untold-" | xargs)" "monitor-$domid vbd-$domid-51712" "records on xen$1"
}

evacuate() { # evacuate HOST [ARGUMENT...]: "DOMAIN TO RESULT" lines, and its exit code
	local rc=0 said

	said=$(x "$1" "xlrbd evacuate --json ${*:2}") || rc=$?
	jq -r '.[] | "\(.domain) \(.to // "-") \(.result)"' <<<"$said" | sort
	return $rc
}

three_guests() { # web1, web2 and web3 on xen1
	local i

	for i in 1 2 3; do
		root_image "root$i"
		define 1 -t pvh "web$i" "$(disk "rbd:root$i")" >/dev/null
		x 1 "rm -f /var/log/xen/console/guest-web$i*.log; xlrbd create web$i"
	done
	for i in 1 2 3; do
		"$LAB" guestwait xen1 "web$i" "lab: guest up" $PATIENCE
		guest 1 "web$i" 'HERE=since-the-beginning'
	done
}

# On xen1, as they were when they began.
end_three_guests() {
	local i

	for i in 1 2 3; do
		expect_eq "$(guest 1 "web$i" 'echo $HERE')" "since-the-beginning" "what web$i knows"
		x 1 "xlrbd shutdown --wait web$i; xlrbd undefine web$i"
	done
	no_trace root1 root2 root3
	drop_image root1 root2 root3
}
