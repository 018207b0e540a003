# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# The two initramfs: the hosts' (with the lab's own files for a host) and the guests'. Not compressed: unpacking is
# emulated, reading is not. Also the keys, one pair for the lab, its hosts and the hosts among themselves.

boot_key() {
	cat "$LAB_SRC/boot.sh" "$LAB_SRC"/dom0/* "$LAB_SRC"/guest/* | sha256sum | cut -c1-16
}

boot_build() {
	local tmp

	boot_keys
	boot_grub
	LAB_BOOT=$LAB_IMAGE/boot-$(boot_key)
	[[ ! -d $LAB_BOOT ]] || return 0
	tmp=$(mktemp -d "$LAB_IMAGE/boot.XXXXXX")
	boot_guest "$tmp"
	boot_host "$tmp"
	mv "$tmp" "$LAB_BOOT"
}

boot_keys() {
	local tmp

	[[ ! -d $LAB_IMAGE/ssh ]] || return 0
	tmp=$(mktemp -d "$LAB_IMAGE/ssh.XXXXXX")
	ssh-keygen -q -t ed25519 -N '' -C lab -f "$tmp/id_ed25519"
	ssh-keygen -q -t ed25519 -N '' -C lab-host -f "$tmp/ssh_host_ed25519_key"
	mv "$tmp" "$LAB_IMAGE/ssh"
}

# GRUB for Xen: kernels that run in the guest and read its disk. And GRUB for a BIOS, which an HVM guest has: the two
# pieces that lie before the first partition (mkroot -m). Taken out of the packages, for these files are all of them
# that is needed.
boot_grub() {
	local tmp package

	[[ ! -d $LAB_IMAGE/grub ]] || return 0
	tmp=$(mktemp -d "$LAB_IMAGE/boot.XXXXXX")
	for package in grub-xen-host grub-pc-bin; do
		(cd "$tmp" && apt-get -qq -o APT::Sandbox::User=root download $package) || die "apt: no $package"
		dpkg-deb -x "$tmp/$package"_*.deb "$tmp/tree"
	done
	mkdir "$tmp/grub" "$tmp/grub/pc"
	cp "$tmp"/tree/usr/lib/grub-xen/grub-{x86_64-xen,i386-xen_pvh}.bin "$tmp/grub"
	cp "$tmp/tree/usr/lib/grub/i386-pc/boot.img" "$tmp/grub/pc"
	grub-mkimage -O i386-pc -d "$tmp/tree/usr/lib/grub/i386-pc" -o "$tmp/grub/pc/core.img" -p '(hd0,msdos1)/boot/grub' \
		biosdisk part_msdos ext2 normal test linux
	mv "$tmp/grub" "$LAB_IMAGE/grub"
	rm -rf "$tmp"
}

# boot_pack DIR FILE
boot_pack() {
	(cd "$1" && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0) >"$2"
	rm -rf "$1"
}

# boot_tree DIR: what every initramfs begins with.
boot_tree() {
	mkdir -p "$1"/{bin,sbin,proc,sys,dev,root,modules}
	cp "$LAB_IMAGE/busybox" "$1/bin/busybox"
	mknod -m 600 "$1/dev/console" c 5 1
	ln -s busybox "$1/bin/sh"
}

boot_guest() {
	local tree=$1/guest

	boot_tree "$tree"
	cp "$LAB_IMAGE"/modules-guest/* "$tree/modules"
	install -m 0755 "$LAB_SRC/guest/init" "$tree/init"
	install -m 0644 "$LAB_SRC/guest/session" "$tree/session"
	# Links for every applet: without them a program could not start another by name.
	chroot "$tree" /bin/busybox --install -s /bin
	rm -f "$tree"/bin/{poweroff,reboot}
	install -m 0755 "$LAB_SRC/guest/poweroff" "$tree/sbin/poweroff"
	install -m 0755 "$LAB_SRC/guest/poweroff" "$tree/sbin/reboot"
	boot_pack "$tree" "$1/guest.initrd"

	# With the drivers of an emulated disk, for those who have no other. As small as can be: the device model hands it to
	# the guest byte by byte, a hundred thousand a second.
	mkdir -p "$1/hvm/modules"
	cp "$LAB_IMAGE"/modules-hvm/* "$1/hvm/modules"
	boot_pack "$1/hvm" "$1/hvm.initrd"
	cat "$1/guest.initrd" "$1/hvm.initrd" | xz --check=crc32 >"$1/guest-hvm.initrd"
	rm "$1/hvm.initrd"
}

boot_host() {
	local tree=$1/host over=$1/host/overlay n

	boot_tree "$tree"
	cp "$LAB_IMAGE"/modules-host/* "$tree/modules"
	install -m 0755 "$LAB_SRC/dom0/initrd-init" "$tree/init"

	# Under /usr, because /sbin is a link in the image and a directory would take its place.
	mkdir -p "$over"/usr/{sbin,local/sbin} "$over"/etc/{ssh,ceph} "$over/srv/guest"
	ln -s /bin/busybox "$over/usr/sbin/init"
	install -m 0755 "$LAB_SRC/dom0/lab-boot" "$over/usr/sbin/lab-boot"
	install -m 0755 "$LAB_SRC"/dom0/lab-{type,wait-log} "$over/usr/local/sbin/"
	install -m 0644 "$LAB_SRC/dom0/inittab" "$over/etc/inittab"
	install -m 0644 "$1/guest.initrd" "$over/srv/guest/initrd"
	install -m 0644 "$1/guest-hvm.initrd" "$over/srv/guest/initrd-hvm"
	install -m 0644 "$LAB_IMAGE"/grub/*.bin "$over/srv/guest/"
	install -m 0644 "$LAB_SRC/dom0/ssh_config" "$LAB_SRC/dom0/sshd_config" "$over/etc/ssh/"
	install -m 0600 "$LAB_IMAGE/ssh/ssh_host_ed25519_key" "$over/etc/ssh/"
	install -d -m 0700 "$over/root" "$over/root/.ssh"
	install -m 0600 "$LAB_IMAGE/ssh/id_ed25519" "$over/root/.ssh/id_ed25519"
	install -m 0600 "$LAB_IMAGE/ssh/id_ed25519.pub" "$over/root/.ssh/authorized_keys"
	{
		echo "127.0.0.1 localhost"
		for ((n = 1; n <= LAB_MAX_HOSTS; n++)); do
			echo "$LAB_MANAGEMENT_NET.1$n xen$n"
			echo "$LAB_STORAGE_NET.1$n xen$n-storage"
		done
	} >"$over/etc/hosts"
	(umask 077 && boot_pack "$tree" "$1/host.initrd")
}
