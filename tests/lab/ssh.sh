# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Reaching a host. An emulated login takes over a second, so each host has one connection that all commands share.

in_ns() {
	ip netns exec "$LAB_NS" "$@"
}

ssh_config() {
	local n

	for ((n = 1; n <= LAB_MAX_HOSTS; n++)); do
		cat <<-CONFIG
		Host xen$n
			HostName $LAB_MANAGEMENT_NET.1$n
		CONFIG
	done
	# A host that is emulated, busy or frozen for a minute is not a dead one: keep-alives are slow to give up.
	cat <<-CONFIG
	Host *
		User root
		IdentityFile $LAB_IMAGE/ssh/id_ed25519
		IdentitiesOnly yes
		StrictHostKeyChecking no
		UserKnownHostsFile /dev/null
		LogLevel ERROR
		ControlPath $LAB_DIR/%n.ssh
		ServerAliveInterval 30
		ServerAliveCountMax 10
		ConnectTimeout 20
		KexAlgorithms ecdh-sha2-nistp256
	CONFIG
}

# The shared connection is opened on its own, with nothing of the caller's: made by the first command instead, it
# would hold that command's stdout and stderr open, and $(lab run ...) would never return.
ssh_open() {
	local host=$1

	(
		flock 7
		ssh -F "$LAB_DIR/ssh_config" -O check "$host" >/dev/null 2>&1 ||
			in_ns ssh -F "$LAB_DIR/ssh_config" -o ControlMaster=yes -o ControlPersist=yes -fN "$host" \
				</dev/null >>"$LAB_DIR/$host.ssh.log" 2>&1 7>&- 9>&-
	) 7>>"$LAB_DIR/$host.ssh.lock"
}

ssh_close() {
	ssh -F "$LAB_DIR/ssh_config" -O exit "$1" >/dev/null 2>&1 || :
	rm -f "$LAB_DIR/$1.ssh"
}

need_host() {
	[[ -d $LAB_DIR ]] || die "no lab is up; see lab up"
	[[ ${1:-} =~ ^xen[1-9]$ && -e $LAB_DIR/$1.qcow2 ]] || die "no such host: ${1:-(none given)}"
}

# lab run HOST WORD...: one word is a line for the host's shell, several are a command and its arguments as they are.
# A host that cannot be asked is 255, as ssh says it.
lab_run() {
	local host=$1 line word
	need_host "$host"
	shift
	(($#)) || die "run: what?"

	line=$1
	# For any shell: the hosts have the one that starts fastest (lab-boot).
	if (($# > 1)); then
		line=
		for word; do
			line+=" '${word//\'/\'\\\'\'}'"
		done
	fi
	pid_alive "$LAB_DIR/$host.pid" || { say "$host is off" && exit 255; }
	ssh_open "$host" || { say "$host does not answer" && exit 255; }
	in_ns ssh -F "$LAB_DIR/ssh_config" "$host" "$line"
}

lab_copy() {
	need_host "$1"
	(($# == 3)) || die "copy: HOST SRC DST"

	# shellcheck disable=SC2016 # for the host's shell
	tar -C "$(dirname "$2")" -cf - "$(basename "$2")" |
		lab_run "$1" bash -c 'set -e; t=$(mktemp -d); tar -C "$t" --no-same-owner --warning=no-timestamp -xf -
			if [ -d "$1" ]; then mv -f "$t/$2" "$1/"; else mv -f "$t/$2" "$1"; fi; rmdir "$t"' \
			copy "$3" "$(basename "$2")"
}

# lab install [STAGE]: what `make install DESTDIR=STAGE` made, into every running host.
lab_install() {
	local stage=${1:-} made="" host log

	[[ -n $(hosts_up) ]] || die "no host is up"
	if [[ -z $stage ]]; then
		stage=$(mktemp -d)
		made=$stage
		log=$(mktemp)
		# shellcheck disable=SC2064 # they are local: expand them now
		trap "rm -rf '$made' '$log'" EXIT
		make -C "${XLRBD_BUILD:-$LAB_TOP}" install "DESTDIR=$stage" >"$log" 2>&1 || {
			tail -n 20 "$log" >&2
			die "make install failed"
		}
	fi
	for host in $(hosts_up); do
		# The tree's directories must not change the owner and mode of the host's: /etc is not ours.
		tar -C "$stage" --owner=0 --group=0 -cf - . |
			lab_run "$host" "tar -C / --no-overwrite-dir --keep-directory-symlink --warning=no-timestamp -xf - && ldconfig"
		say "installed into $host"
	done
}
