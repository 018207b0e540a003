# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Tests as shell functions: `t NAME FUNCTION [ARGUMENT...]` runs one in a subshell, and counts.  A test fails with the
# first command that fails; expect_* say what was expected and what was found.  XLRBD_TESTS, an extended regular
# expression, picks tests by name.

TAP_PASSED=0
TAP_FAILED=0
TAP_LOG=$(mktemp)

t() {
	local name=$1 start=$EPOCHREALTIME rc=0
	shift
	[[ $name =~ ${XLRBD_TESTS:-} ]] || return 0
	# Not in a condition: there bash would ignore -e inside the function.
	set +e
	(
		set -e
		"$@"
	) >"$TAP_LOG" 2>&1
	rc=$?
	set -e
	if ((rc == 0)); then
		TAP_PASSED=$((TAP_PASSED + 1))
		echo "ok - $name ($(tap_seconds "$start") s)"
		# What a test has to show, such as figures.
		sed -n 's/^note: /    /p' "$TAP_LOG"
	else
		TAP_FAILED=$((TAP_FAILED + 1))
		echo "not ok - $name ($(tap_seconds "$start") s)"
		sed 's/^/    /' "$TAP_LOG" | tail -n 60
	fi
	# For those who clean up after each test.
	if declare -F after_each >/dev/null; then after_each "$rc"; fi
}

tap_seconds() {
	local us=$((${EPOCHREALTIME/./} - ${1/./}))
	printf '%d.%03d' $((us / 1000000)) $((us / 1000 % 1000))
}

summary() {
	rm -f "$TAP_LOG"
	echo "$TAP_PASSED passed, $TAP_FAILED failed"
	((TAP_FAILED == 0 && TAP_PASSED > 0))
}

fail() {
	echo "FAILED: $*" >&2
	return 1
}

expect_eq() { # expect_eq FOUND EXPECTED [WHAT]
	[[ $1 == "$2" ]] || fail "${3:-value}: found '$1', expected '$2'"
}

expect_match() { # expect_match FOUND REGEX [WHAT]
	[[ $1 =~ $2 ]] || fail "${3:-text}: found '$1', expected a match of '$2'"
}

expect_no_match() {
	[[ ! $1 =~ $2 ]] || fail "${3:-text}: found '$1', expected no match of '$2'"
}

expect_fail() { # expect_fail COMMAND...: its output is left in $OUTPUT
	if OUTPUT=$("$@" 2>&1); then
		fail "succeeded, though it should not: $*: $OUTPUT"
	fi
}

# How long it rests between two looks, where these are cheap.
TAP_REST=0.2

eventually() { # eventually SECONDS COMMAND...: until it succeeds; a condition, not a time
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		((SECONDS < end)) || fail "gave up waiting for: $*"
		sleep $TAP_REST
	done
}
