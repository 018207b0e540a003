// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Lets a program hand a cephx key to standin-krbd as it would to the kernel,
 * on machines whose kernel has no key type "ceph".
 *
 *	cc -shared -fPIC -o keystub.so keystub.c
 *	LD_PRELOAD=./keystub.so STANDIN_KRBD=SOCKET block-rbd add
 *
 * add_key("ceph", "client.x") becomes a key of type "user" named
 * "ceph:client.x", in the same keyring; and since the stand-in cannot look
 * into the keyrings of the process that writes to it, the key goes there by
 * its control socket as well, with the process it belongs to.
 */
#include <errno.h>
#include <keyutils.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static int hand_over(const char *name, const void *payload, size_t length,
		     key_serial_t ring)
{
	const char *path = getenv("STANDIN_KRBD");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	bool own = ring == KEY_SPEC_PROCESS_KEYRING ||
		   ring == KEY_SPEC_THREAD_KEYRING;
	char packet[4096];
	int fd, used, r = -1;

	if (!path || strlen(path) >= sizeof(address.sun_path))
		return 0;
	strcpy(address.sun_path, path);
	used = snprintf(packet, sizeof(packet), "key %s %s\n",
			own ? "process" : "shared", name);
	if (used < 0 || (size_t)used + length > sizeof(packet)) {
		errno = EINVAL;
		return -1;
	}
	memcpy(packet + used, payload, length);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	/* The answer says that the key is there. */
	if (!connect(fd, (struct sockaddr *)&address, sizeof(address)) &&
	    send(fd, packet, (size_t)used + length, MSG_NOSIGNAL) > 0 &&
	    recv(fd, packet, sizeof(packet), 0) > 0)
		r = 0;
	close(fd);
	return r;
}

key_serial_t add_key(const char *type, const char *description,
		     const void *payload, size_t length, key_serial_t ring)
{
	char name[512];

	if (!strcmp(type, "ceph")) {
		if (hand_over(description, payload, length, ring) < 0)
			return -1;
		snprintf(name, sizeof(name), "ceph:%s", description);
		type = "user";
		description = name;
	}
	return (key_serial_t)syscall(__NR_add_key, type, description, payload,
				     length, ring);
}
