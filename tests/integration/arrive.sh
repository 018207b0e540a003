# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# A domain that arrives, after functions.sh and xlrbd.sh: lib/arrive.c receives it.
#
#	arrive HOST ARGUMENT...			runs lib/arrive.c; what it prints
#	arrive_begin HOST NAME UUID DOMID DISK...	in the background, until all disks are prepared; a DISK is four words:
#						DEVID r|w IMAGE|- TARGET
#	arrive_end				lets it end the arrival, which works
#	arrive_kill				SIGKILL
#	ARRIVAL					its process
#
#	source_runs MODE TARGET			the domain web1, where it comes from: host 1; sets IMAGE
#	source_ends
#	held_on HOST...				rbd/image has just these entries, all held, the source's unchanged
#	gone_from HOST				nothing is mapped or on record there

# shellcheck disable=SC2034 # tests
{
	DISK=51712
	DATA=51728	# xvdb
	WEB=00000001-0000-4000-8000-00000000000a
	# The domids: where it comes from, and where it arrives.
	HERE=1
	THERE=7
}

# Sets TOOL: its words on a host, with XLRBD_WRAPPER before it.
arrive_words() { # arrive_words HOST
	tool_words "$1"
	TOOL[-1]=$("$LIB/built" arrive)
	# For the key stub.
	export STANDIN_KRBD=$WORLD/host$1/krbd.sock
}

arrive() { # arrive HOST ARGUMENT...
	arrive_words "$1"
	shift
	"${TOOL[@]}" "$@" </dev/null
}

# It waits at the other end of a FIFO, so it ends when the test does.
arrive_begin() { # arrive_begin HOST NAME UUID DOMID DISK...
	arrive_words "$1"
	shift
	rm -f "$WORLD/arrival.in"
	mkfifo "$WORLD/arrival.in"
	# Not what the one before has said there.
	: >"$WORLD/arrival"
	"${TOOL[@]}" "$@" <"$WORLD/arrival.in" >"$WORLD/arrival" 2>"$WORLD/arrival.err" &
	ARRIVAL=$!
	exec {ARRIVAL_IN}>"$WORLD/arrival.in"
	eventually 60 arrive_is_prepared
}

arrive_is_prepared() {
	! grep -qx prepared "$WORLD/arrival" || return 0
	kill -0 "$ARRIVAL" 2>/dev/null || {
		cat "$WORLD/arrival" "$WORLD/arrival.err" >&2
		fail "the arrival has ended"
		exit 1
	}
	return 1
}

arrive_end() {
	exec {ARRIVAL_IN}>&-
	wait "$ARRIVAL" || { cat "$WORLD/arrival" "$WORLD/arrival.err" >&2; return 1; }
	expect_eq "$(tail -n 1 "$WORLD/arrival")" ended
}

arrive_kill() {
	kill -KILL "$ARRIVAL"
	wait "$ARRIVAL" || :
	exec {ARRIVAL_IN}>&-
}

source_runs() { # source_runs MODE TARGET: on host 1; sets IMAGE and SOURCE, its entry
	attach 1 $HERE $DISK "$1" "$2" web1 $WEB
	blkback_open 1 $HERE $DISK
	IMAGE=$(arrive 1 image $HERE $DISK)
	SOURCE=$(entry_on 1)
	[[ -n $SOURCE ]]
}

entry_on() { # entry_on HOST: as it stands in the lock of image
	lockers image | grep -o "\"[^\"]*xlrbd1,[a-z]*,[^,]*,xen$1,[^\"]*\"" | sort | xargs
}

held_on() { # held_on HOST...: image has just these entries, and the source's, while it runs, is the one it was
	local host hosts=

	for host; do
		hosts+="held,xen$host "
	done
	expect_eq "$(lockers image | grep -o 'xlrbd1,[a-z]*,[^,]*,[^,]*' | cut -d , -f 2,4 | sort | xargs)" "${hosts% }" entries
	[[ -z $SOURCE || " $(entry_on 1) " == *" $SOURCE "* ]] || fail "the source's entry was $SOURCE, now $(entry_on 1)"
}

source_ends() {
	SOURCE=
	blkback_close 1 $HERE $DISK
	vbd_gone 1 $HERE $DISK
}

gone_from() { # gone_from HOST: nothing is mapped or on record there
	expect_eq "$(krbd "$1" maps)" "" "maps of host $1"
	expect_eq "$(host "$1" find "${XLRBD_RUNDIR:-/run/xlrbd}" -name 'vbd-*')" "" "records of host $1"
}
