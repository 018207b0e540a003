// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Locks between processes of one host, as files that their last holder deletes.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lockfile.h"

/* Is @fd still the file at @path?  Else it was deleted before we had it. */
static bool is_current(int fd, const char *path)
{
	struct stat ours, now;

	return fstat(fd, &ours) == 0 && stat(path, &now) == 0 &&
	       ours.st_dev == now.st_dev && ours.st_ino == now.st_ino;
}

int xlrbd__lockfile_take(const char *path, bool make)
{
	int fd, r;

	for (;;) {
		fd = open(path, (make ? O_CREAT : 0) | O_RDWR | O_CLOEXEC,
			  0600);
		if (fd < 0)
			return -errno;
		r = flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
		if (!r && is_current(fd, path))
			return fd;
		close(fd);
		if (r)
			return r;
	}
}

void xlrbd__lockfile_drop(int fd)
{
	char link[64], path[PATH_MAX];
	ssize_t n;

	if (fd < 0)
		return;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n > 0) {
		path[n] = '\0';
		if (is_current(fd, path))
			unlink(path);
	}
	close(fd);
}
