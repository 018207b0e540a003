# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# The emulated hosts themselves: one QEMU each, with a console log, a pid file and a disk overlay in LAB_DIR.

hosts_all() {
	local disk
	for disk in "$LAB_DIR"/xen?.qcow2; do
		[[ ! -e $disk ]] || basename "$disk" .qcow2
	done
}

hosts_up() {
	local host
	for host in $(hosts_all); do
		! pid_alive "$LAB_DIR/$host.pid" || echo "$host"
	done
}

host_disk() {
	qemu-img create -q -f qcow2 -F raw -b "$LAB_IMAGE/disk.raw" "$LAB_DIR/$1.qcow2"
}

# host_card N TAP NETWORK: the address says which network it is, for lab-boot.
host_card() {
	echo "-netdev tap,id=$2,ifname=$2,script=no,downscript=no" \
		"-device virtio-net-pci,netdev=$2,mac=52:54:00:77:0$3:1$1,romfile="
}

host_start() {
	local host=$1 n=${1#xen} cards args=()
	read -r -a cards <<<"$(host_card "$n" "m$n" 1) $(host_card "$n" "s$n" 0)"

	case $LAB_ACCEL in
	kvm) args=(-accel kvm -cpu host -append "console=com1 $(host_xen_args)") ;;
	tcg) args=(-accel "tcg,thread=multi" -cpu "$LAB_TCG_CPU" -append "console=com1 $LAB_TCG_XEN $(host_xen_args)") ;;
	esac
	printf '\nlab: power on\n' >>"$LAB_DIR/$host.console"
	# writeback, not unsafe: power-off kills QEMU, and what the host had flushed by then must be there afterwards.
	in_ns qemu-system-x86_64 -name "$host" -M q35 "${args[@]}" -m "$LAB_HOST_MEMORY" -smp "$(host_cpus)" \
		-nodefaults -display none -no-reboot -daemonize -pidfile "$LAB_DIR/$host.pid" \
		-chardev "file,id=console,path=$LAB_DIR/$host.console,append=on" -serial chardev:console \
		-kernel "$LAB_IMAGE/xen" \
		-initrd "$LAB_IMAGE/vmlinux $LAB_DOM0_ARGS lab.host=$n,$LAB_BOOT/host.initrd" \
		-drive "if=none,id=disk,file=$LAB_DIR/$host.qcow2,format=qcow2,cache=writeback,discard=unmap" \
		-device virtio-blk-pci,drive=disk "${cards[@]}" </dev/null >>"$LAB_DIR/$host.qemu.log" 2>&1 9>&-
}

host_xen_args() {
	echo "dom0_mem=$LAB_DOM0_MEMORY,max:$LAB_DOM0_MEMORY noreboot"
}

# Each emulated processor is a thread here: more of them than the machine has only get into each other's way.
host_cpus() {
	local hosts each
	hosts=$(hosts_all | wc -l)
	each=$(($(nproc) / (hosts > 0 ? hosts : 1)))
	echo $((each < 1 ? 1 : each > 2 ? 2 : each))
}

# host_wait HOST END: until it has said that it is ready (on its console: watching a file costs the host nothing) and
# its ssh answers. The console log survives power cycles, so only what came after the last power-on counts.
host_wait() {
	local host=$1 end=$2 said before="" start
	start=$(stat -c %Y "$LAB_DIR/$host.pid")

	while :; do
		said=$(host_said "$host")
		[[ $said == "$before" ]] || say "$host: $(tail -n 1 <<<"$said" | sed 's/^lab: //')"
		before=$said
		case $said in
		*FAILED*) say "$host: ${said##*FAILED }" && return 1 ;;
		*"ready $host"*) break ;;
		esac
		pid_alive "$LAB_DIR/$host.pid" || { say "$host: its QEMU ended" && return 1; }
		((SECONDS < end)) || { say "$host: not ready in time" && return 1; }
		sleep 0.3
	done
	until ssh_open "$host"; do
		((SECONDS < end)) || { say "$host: ssh does not answer" && return 1; }
		sleep 0.5
	done
	say "$host can be used after $(($(date +%s) - start)) s"
}

host_said() {
	tr -d '\0\r' <"$LAB_DIR/$1.console" | awk '/^lab: power on/ { out = "" } /lab: / { out = out $0 "\n" } END { printf "%s", out }'
}

# What a host needs to be a Ceph client; the admin's key stays outside, as it should on a real site.
host_configure() {
	tar -C "$LAB_CEPH" --owner=0 --group=0 -cf - ceph.conf ceph.client.xen.keyring |
		lab_run "$1" "tar -C /etc/ceph --warning=no-timestamp -xf - && chmod 600 /etc/ceph/ceph.client.xen.keyring"
}

host_blame() {
	say "the last lines of $1's console:"
	tail -n 60 "$LAB_DIR/$1.console" | tr -d '\0\r' >&2
	[[ ! -s $LAB_DIR/$1.qemu.log ]] || cat "$LAB_DIR/$1.qemu.log" >&2
}

host_kill() {
	local file=$LAB_DIR/$1.pid pid

	ssh_close "$1"
	if pid_alive "$file"; then
		pid=$(<"$file")
		kill -KILL "$pid"
		while pid_alive "$file"; do
			sleep 0.05
		done
	fi
	rm -f "$file"
}

lab_power_off() {
	need_host "$1"
	host_kill "$1"
}

lab_power_on() {
	need_host "$1"
	! pid_alive "$LAB_DIR/$1.pid" || die "$1 is on"
	# shellcheck source=/dev/null
	. "$LAB_DIR/settings"
	host_start "$1" || die "$1: QEMU does not start; see $LAB_DIR/$1.qemu.log"
	host_wait "$1" $((SECONDS + LAB_BOOT_LIMIT)) || { host_blame "$1" && exit 1; }
}

host_signal() {
	need_host "$1"
	pid_alive "$LAB_DIR/$1.pid" || die "$1 is off"
	kill "-$2" "$(<"$LAB_DIR/$1.pid")"
}

lab_freeze() {
	host_signal "$1" STOP
}

lab_thaw() {
	host_signal "$1" CONT
}

lab_console() {
	need_host "$1"
	cat "$LAB_DIR/$1.console"
}
