// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Does somebody take connections at these addresses?
 */
#include "config.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "internal.h"

/* As many monitors as no cluster has. */
#define ADDRESSES_MAX	32

/* One address, and the connection to it that has begun. */
struct target {
	char *text;
	bool answers;
};

/* "10.0.0.1:6789" or "[fd00::1]:6789" begun with; -1 if it cannot be. */
static int begin(const char *text)
{
	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
	};
	struct addrinfo *info;
	char ip[128], *port;
	int fd;

	snprintf(ip, sizeof(ip), "%s", text + (text[0] == '['));
	port = strrchr(ip, ':');
	if (!port)
		return -1;
	*port++ = '\0';
	if (text[0] == '[')
		ip[strcspn(ip, "]")] = '\0';
	if (getaddrinfo(ip, port, &hints, &info))
		return -1;
	fd = socket(info->ai_family,
		    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, info->ai_addr, info->ai_addrlen) < 0 &&
	    errno != EINPROGRESS) {
		close(fd);
		fd = -1;
	}
	freeaddrinfo(info);
	return fd;
}

static bool is_connected(int fd)
{
	int error = 0;
	socklen_t size = sizeof(error);

	return !getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) && !error;
}

/* Closes what has come to an end; how many have not. */
static size_t look(struct target *targets, struct pollfd *fds, size_t n)
{
	size_t i, left = 0;

	for (i = 0; i < n; i++) {
		if (fds[i].fd >= 0 && fds[i].revents) {
			targets[i].answers = is_connected(fds[i].fd);
			close(fds[i].fd);
			fds[i].fd = -1;
		}
		left += fds[i].fd >= 0;
	}
	return left;
}

static void try_all(struct target *targets, size_t n, int64_t ms)
{
	struct pollfd fds[ADDRESSES_MAX];
	struct xlrbd__deadline deadline;
	size_t i, left;

	for (i = 0; i < n; i++)
		fds[i] = (struct pollfd){ begin(targets[i].text), POLLOUT, 0 };
	xlrbd__deadline_set(&deadline, ms);
	while ((left = look(targets, fds, n)) &&
	       xlrbd__deadline_left(&deadline))
		poll(fds, n, xlrbd__deadline_left(&deadline));
	for (i = 0; left && i < n; i++)
		if (fds[i].fd >= 0)
			close(fds[i].fd);
}

unsigned int xlrbd__reach(const char *addresses, int64_t ms, char *silent_out,
			  size_t size)
{
	char *copy = strdup(addresses), *rest = copy;
	struct target targets[ADDRESSES_MAX];
	unsigned int answer = 0;
	size_t i, n = 0, used = 0;

	silent_out[0] = '\0';
	while (n < ADDRESSES_MAX && rest && *rest)
		targets[n++] = (struct target){ strsep(&rest, ","), false };
	try_all(targets, n, ms);
	for (i = 0; i < n; i++) {
		answer += targets[i].answers;
		if (!targets[i].answers && used < size)
			used += snprintf(silent_out + used, size - used,
					 "%s%s", used ? "," : "",
					 targets[i].text);
	}
	free(copy);
	return answer;
}
