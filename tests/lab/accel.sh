# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Can this machine's /dev/kvm carry Xen? That it exists says little: software VMMs offer one on which Xen dies or
# hangs. So boot Xen and a dom0 kernel on it, without a disk, and see whether user space is reached.

LAB_PROBE_LIMIT=15

# Sets LAB_ACCEL. Asked once per boot of the machine.
accel_choose() {
	local file boot
	file=$LAB_CACHE/accel
	boot=$(</proc/sys/kernel/random/boot_id)

	LAB_ACCEL=${XLRBD_LAB_ACCEL:-}
	case $LAB_ACCEL in
	tcg | kvm) return ;;
	'') ;;
	*) die "XLRBD_LAB_ACCEL is tcg or kvm, not $LAB_ACCEL" ;;
	esac
	[[ ! -s $file ]] || read -r LAB_ACCEL < <(sed -n "s/^$boot //p" "$file") || LAB_ACCEL=
	[[ -z $LAB_ACCEL ]] || return 0

	LAB_ACCEL=tcg
	if [[ -w /dev/kvm ]]; then
		say "does /dev/kvm carry Xen? (at most $LAB_PROBE_LIMIT s) ..."
		if accel_probe; then
			LAB_ACCEL=kvm
		fi
	fi
	echo "$boot $LAB_ACCEL" >"$file"
	say "hosts will run with $LAB_ACCEL"
}

accel_probe() {
	local out
	out=$(timeout --kill-after=2 "$LAB_PROBE_LIMIT" qemu-system-x86_64 -M q35 -accel kvm -cpu host -m 1024 \
		-nodefaults -display none -no-reboot -serial stdio -kernel "$LAB_IMAGE/xen" \
		-append "console=com1 noreboot=0 dom0_mem=512M" \
		-initrd "$LAB_IMAGE/vmlinux $LAB_DOM0_ARGS panic=1 lab.probe,$LAB_BOOT/host.initrd" \
		</dev/null 2>&1 | tr -d '\0') || :
	[[ $out == *"lab: probe ok"* ]]
}
