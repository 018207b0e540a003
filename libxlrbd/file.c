// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * One-line files, and writes to sysfs attributes that may block for long.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <keyutils.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "internal.h"

int xlrbd__file_read(const char *dir, const char *name, char *out, size_t size)
{
	char path[PATH_MAX];
	ssize_t n;
	int fd, r;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >=
	    sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, out, size - 1);
	r = n < 0 ? -errno : 0;
	close(fd);
	if (r < 0)
		return r;
	out[n] = '\0';
	out[strcspn(out, "\n")] = '\0';
	return 0;
}

/*
 * Runs in the child: async-signal-safe calls only, since other threads of the
 * parent may have held any lock at fork().
 */
static int write_in_child(pid_t parent, const char *path, const char *text,
			  const char *key_name, const void *key,
			  size_t key_len)
{
	size_t length = strlen(text);
	int fd;

	/*
	 * A child stuck in the kernel must hold nothing of the parent's: not
	 * its flocks, not the pipe that xl reads.
	 */
	close_range(0, ~0U, 0);
	/*
	 * And it must not go on behind the back of whoever cleans up after a
	 * parent that was killed.
	 */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		return ESRCH;
	/*
	 * The process keyring ends with this process, and with it the key:
	 * the kernel has taken its own copy by then.
	 */
	if (key && add_key("ceph", key_name, key, key_len,
			   KEY_SPEC_PROCESS_KEYRING) < 0)
		return errno;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, length) != (ssize_t)length)
		return errno;
	return 0;
}

/*
 * Waits for the child; once killed, for a moment only, as one in
 * uninterruptible sleep may never go.
 */
static bool wait_for(pid_t pid, const struct xlrbd__deadline *deadline,
		     int *status_out)
{
	unsigned int pause_ms = 1;
	pid_t r;

	do {
		r = waitpid(pid, status_out, WNOHANG);
		if (r == pid)
			return true;
	} while (r == 0 && xlrbd__deadline_pause(deadline, &pause_ms, 10));
	return false;
}

int xlrbd__file_write(const char *path, const char *text, const char *key_name,
		      const void *key, size_t key_len,
		      const struct xlrbd__deadline *deadline)
{
	struct xlrbd__deadline grace;
	pid_t parent = getpid();
	int status;
	pid_t pid;

	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid)
		_exit(write_in_child(parent, path, text, key_name, key, key_len));
	if (!wait_for(pid, deadline, &status)) {
		kill(pid, SIGKILL);
		xlrbd__deadline_set(&grace, 1000);
		if (!wait_for(pid, &grace, &status))
			return -ETIMEDOUT;
	}
	if (WIFEXITED(status))
		return -WEXITSTATUS(status);
	return -ETIMEDOUT;
}
