// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Who this host is.
 *
 * Three facts, because each alone can lie: a name can be given twice, dom0s
 * installed from one image share a machine-id, and the boot id tells one life
 * of a host from the next.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

#define MACHINE_ID "/etc"	/* machine-id(5) */
#define BOOT_ID "/proc/sys/kernel/random"

int xlrbd__host_read(struct xlrbd_ctx *ctx, struct xlrbd__host *host_out)
{
	int r;

	memset(host_out, 0, sizeof(*host_out));
	if (gethostname(host_out->name, sizeof(host_out->name) - 1) < 0) {
		r = errno;
		return xlrbd__fail(ctx, -r, "read the host name: %s",
				   strerror(r));
	}
	r = xlrbd__file_read(BOOT_ID, "boot_id", host_out->boot_id,
			      sizeof(host_out->boot_id));
	if (r < 0)
		return xlrbd__fail(ctx, r, "read " BOOT_ID "/boot_id: %s",
				   strerror(-r));
	r = xlrbd__file_read(MACHINE_ID, "machine-id", host_out->machine_id,
			      sizeof(host_out->machine_id));
	if (r < 0)
		return xlrbd__fail(ctx, r,
				   "read " MACHINE_ID "/machine-id: %s; see systemd-machine-id-setup(1)",
				   strerror(-r));
	return 0;
}

static bool is_address(const struct sockaddr *sa, const char *ip)
{
	char text[INET6_ADDRSTRLEN] = "";

	if (sa && sa->sa_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)sa)->sin_addr,
			  text, sizeof(text));
	else if (sa && sa->sa_family == AF_INET6)
		inet_ntop(AF_INET6,
			  &((const struct sockaddr_in6 *)sa)->sin6_addr, text,
			  sizeof(text));
	return text[0] && !strcmp(text, ip);
}

bool xlrbd__host_has_address(const char *addr)
{
	struct ifaddrs *all, *one;
	char ip[64], *colon;
	bool found = false;

	/* "10.0.0.1:0/42" or "[fd00::1]:0/42" */
	snprintf(ip, sizeof(ip), "%s", addr + (addr[0] == '['));
	colon = addr[0] == '[' ? strchr(ip, ']') : strrchr(ip, ':');
	if (!colon || getifaddrs(&all) < 0)
		return false;
	*colon = '\0';
	for (one = all; one; one = one->ifa_next)
		found = found || is_address(one->ifa_addr, ip);
	freeifaddrs(all);
	return found;
}
