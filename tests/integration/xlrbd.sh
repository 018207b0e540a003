# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# shellcheck disable=SC2034 # for tests
#
# What the tests of xlrbd share, after functions.sh.
#
#	xlrbd HOST ARGUMENT...			runs it; sets RC, MS, OUT and ERR
#	shows HOST ARGUMENT...			it succeeds, in silence
#	refuses SENTENCE HOST ARGUMENT...	it fails, with just that
#	domains ROWS HOST list|where ...	just these domains
#	locks ROWS HOST [IMAGE...]		just these entries
#	answer HOST TEXT ARGUMENT...		at a terminal, where somebody types

WHEN='20[0-9-]+ [0-9]+:[0-9]+'
# For tests that wait for its end, in seconds; and what a busy machine may add.
TIMEOUT=10
AT_MOST=$((TIMEOUT * 1000 + 8000))

# Pools that a test has made go whatever becomes of it: they would be in trouble in the next one.
eval "only_rbd_$(declare -f after_each)"
after_each() { # after_each RC
	local pool

	for pool in $(ceph osd pool ls); do
		[[ $pool == rbd ]] || ceph osd pool delete "$pool" "$pool" --yes-i-really-really-mean-it 2>/dev/null
	done
	only_rbd_after_each "$1"
}

# The words that run xlrbd on a host, as in `host 1`; the program itself, not libtool's wrapper around it.
tool_words() { # tool_words HOST
	local build=${XLRBD_BUILD:-$TESTS/..} program

	program=$build/tools/.libs/xlrbd
	[[ -x $program ]] || program=$build/tools/xlrbd
	# shellcheck disable=SC2206 # words
	TOOL=(nsenter -t "$(host_pid "$1")" -m -n -u -- env XENSTORED_PATH="$WORLD/host$1/xenstored/socket"
		LD_PRELOAD="$KEYSTUB" LD_LIBRARY_PATH="$(realpath "$build/libxlrbd/.libs")"
		${XLRBD_WRAPPER:-} "$(realpath "$program")")
}

# xlrbd HOST ARGUMENT...: sets RC, MS, OUT and ERR: what it printed to stdout and to stderr.
xlrbd() {
	local number=$1 start text=$WORLD/text.$BASHPID

	shift
	tool_words "$number"
	start=${EPOCHREALTIME/./}
	RC=0
	"${TOOL[@]}" "$@" >"$text.out" 2>"$text.err" </dev/null || RC=$?
	MS=$(((${EPOCHREALTIME/./} - start) / 1000))
	OUT=$(<"$text.out") ERR=$(<"$text.err")
	rm "$text.out" "$text.err"
	printf '%s\n' "xlrbd $* on host $number: exit $RC, $MS ms" "$OUT" "$ERR" >&2
}

shows() { # shows HOST ARGUMENT...: it succeeds, and has nothing to say on stderr
	xlrbd "$@"
	expect_eq "$RC" 0 "exit code"
	expect_eq "$ERR" "" "stderr"
}

refuses() { # refuses SENTENCE HOST ARGUMENT...: exit code 1, that one sentence, and nothing on stdout
	local sentence=$1

	shift
	xlrbd "$@"
	expect_eq "$RC" 1 "exit code"
	expect_eq "$OUT" "" "stdout"
	expect_match "$ERR" "^xlrbd: $sentence\$" "stderr"
	[[ $ERR != *$'\n'* ]] || fail "more than a sentence: $ERR"
}

domain_rows() { # of $OUT: "NAME HOST STATUS DISKS", a line for each that is no trouble
	jq -r '.[] | select(.trouble | not) | [.domain, .host, .status, (.disks | length)] | join(" ")' <<<"$OUT"
}

lock_rows() { # the same: "IMAGE MODE STATE LIFE DOMAIN HOST"
	jq -r '.[] | select(.trouble | not) | [.image, .mode, .state, .life, .domain, .host] | join(" ")' <<<"$OUT"
}

domains() { # domains ROWS HOST list|where ARGUMENT...: just these
	local rows=$1

	shift
	shows "$@" --json
	expect_eq "$(domain_rows)" "$rows" "domains"
}

locks() { # locks ROWS HOST [IMAGE...]
	local rows=$1 host=$2

	shift 2
	shows "$host" locks "$@" --json
	expect_eq "$(lock_rows)" "$rows" "locks"
}

entry_of() { # entry_of HOST IMAGE STATE: as unlock takes it
	tool_words "$1"
	"${TOOL[@]}" locks -j "$2" | jq -r ".[] | select(.state == \"$3\") | .entry" | head -n 1
}

attach() { # attach HOST DOMID DEVID MODE TARGET [NAME] [UUID]
	vbd_new "$@"
	rbd_add "$1" "$2" "$3"
}

attach_killed() { # the same, but the helper is killed when it has registered
	vbd_new "$@"
	XLRBD_WRAPPER="env LD_PRELOAD=$KEYSTUB:$("$LIB/built" killstub.so) KILL_AT=rados_mon_command:2" \
		expect_fail rbd_add "$1" "$2" "$3"
}

create() { # create IMAGE...
	local image

	for image; do
		rbd create --size 10M "$image"
	done
}

user() { # user ID MON-CAPS OSD-CAPS: with its keyring on all hosts
	local n key

	key=$(ceph auth get-or-create "client.$1" mon "$2" osd "$3")
	for ((n = 1; n <= WORLD_HOSTS; n++)); do
		host "$n" tee "/etc/ceph/ceph.client.$1.keyring" <<<"$key" >/dev/null
	done
}

status_is() { # status_is HOST DOMAIN STATUS, as that host sees it
	tool_words "$1"
	[[ $("${TOOL[@]}" where -j "$2" | jq -r '.[].status') == "$3" ]]
}
